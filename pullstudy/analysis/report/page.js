// Draws every figure from the data beside it. Colours are custom properties of the page: they need no drawing anew.
(function () {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const config = read("chart-config");

  async function draw(element) {
    const own = structuredClone(config);
    // Two columns of a legend's long labels do not fit beside each other on a telephone.
    if (element.clientWidth < 480) own.legend.columns = 1;
    try {
      const options = { mode: "vega-lite", actions: false, renderer: "svg", config: own };
      await vegaEmbed(element, read(element.dataset.spec), options);
    } catch (error) {
      element.textContent = "This figure could not be drawn: " + error.message;
    }
  }

  Promise.all(Array.from(document.querySelectorAll(".chart"), draw)).then(() => {
    document.documentElement.dataset.drawn = "all";
  });
})();
