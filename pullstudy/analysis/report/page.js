// Draws every figure from the data beside it, again when the reader's colour scheme changes.
(function () {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const configs = read("chart-configs");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const drawn = new Map();

  async function draw(element) {
    const config = structuredClone(dark.matches ? configs.dark : configs.light);
    // Two columns of a legend's long labels do not fit beside each other on a telephone.
    if (element.clientWidth < 480) config.legend.columns = 1;
    const options = { mode: "vega-lite", actions: false, renderer: "svg", config };
    const before = drawn.get(element);
    if (before) before.finalize();
    try {
      drawn.set(element, await vegaEmbed(element, read(element.dataset.spec), options));
    } catch (error) {
      element.textContent = "This figure could not be drawn: " + error.message;
    }
  }

  const charts = Array.from(document.querySelectorAll(".chart"));
  const all = () => charts.forEach((element) => draw(element));
  dark.addEventListener("change", all);
  all();
})();
