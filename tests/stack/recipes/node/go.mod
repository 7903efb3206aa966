module stack/node

go 1.21
