// The family's words in the form that signs: the usual ones of the chosen conclusion appear, and
// what somebody has written themselves stays.

const boxes = (root) => root.querySelectorAll("textarea[data-level]");

function fill(form) {
  const part = form.querySelector("#words");
  const chosen = form.querySelector("input[name=conclusion]:checked");
  if (!part || !chosen) return;
  const usual = JSON.parse(part.dataset.templates)[chosen.value];
  for (const box of boxes(part)) {
    // Its own words are those that differ from what was filled in last.
    if (box.value && box.value !== box.dataset.filled) continue;
    box.value = box.dataset.filled = usual[box.dataset.level][box.dataset.part];
    box.rows = Math.max(3, Math.ceil(box.value.length / 34) + 1);
  }
}

document.addEventListener("change", ({ target }) => {
  if (target.name === "conclusion" && target.form?.id === "sign") fill(target.form);
});

const form = document.getElementById("sign");
if (form) fill(form);
