// Signed cells that look like the chosen one. Asked for only while the reader has them open: who
// compared which cells is noted.

const part = document.getElementById("alike");
const list = document.getElementById("alike-cells");
const note = document.getElementById("alike-note");
let address = "";
let shown = "";

async function look() {
  if (!part.open || !address || address === shown) return;
  shown = address;
  list.replaceChildren();
  note.textContent = note.dataset.looking;
  const answer = await fetch(address).catch(() => null);
  const found = await answer?.json().catch(() => null);
  if (shown !== address) return; // another cell was chosen meanwhile
  if (!found) {
    shown = "";
    note.textContent = note.dataset.failed;
    return;
  }
  note.textContent = found.alike.length ? "" : note.dataset.few;
  list.replaceChildren(...found.alike.map(tile));
}

function tile({ picture, conclusion }) {
  const item = document.createElement("li");
  const image = document.createElement("img");
  const words = document.createElement("span");
  image.src = picture;
  image.alt = "";
  image.width = image.height = 72;
  words.textContent = part.dataset.signed.replace("%c", conclusion);
  item.append(image, words);
  return item;
}

document.addEventListener("leukolens:alike", ({ detail }) => {
  address = detail;
  look();
});
part.addEventListener("toggle", look);
