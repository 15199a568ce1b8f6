// The field on the stage: OpenSeadragon with the found cells' outlines as a drawing over it.
//
// The article #case-field says what to show: data-field, data-original, data-cells, data-segmented.
// Whoever swaps it in calls `show()`. Others listen on `document` for `leukolens:field`, another
// field is to be shown, `leukolens:painted`, its picture is there, `leukolens:cells`, what is known
// of its cells, and `leukolens:cell`, a cell that was clicked.

const frame = document.getElementById("scope-frame");
const scope = document.getElementById("scope");
const note = document.getElementById("scope-note");
const layers = document.getElementById("layers");
const LAYERS = "leukolens.layers";
const SVG = "http://www.w3.org/2000/svg";
const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;

// OpenSeadragon would add a <style>, which our Content-Security-Policy refuses; it does not when it
// finds one, be it an element of no meaning. What that style says is in viewer.css.
const styled = document.createElementNS("urn:leukolens:nothing", "style");
styled.setAttribute("data-openseadragon-mobile-css", "");
document.head.append(styled);

const viewer = window.OpenSeadragon({
  element: scope,
  tabIndex: -1, // #scope itself takes the focus
  drawer: "canvas",
  showNavigationControl: false,
  keyboardNavEnabled: false, // our own: single letters belong to the page
  animationTime: still ? 0 : 0.35,
  minZoomImageRatio: 0.9,
  maxZoomPixelRatio: 16,
  visibilityRatio: 0.5,
  gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true },
  gestureSettingsTouch: { clickToZoom: false, dblClickToZoom: true },
});

let shown = { field: "", stamp: "" }; // another object with each turn of the page
let drawing = null; // the <svg> with the outlines
const pictures = {}; // what lies over the field, by the layer's name

// --- layers -----------------------------------------------------------------------------------

function remembered() {
  try {
    return JSON.parse(localStorage.getItem(LAYERS)) ?? {};
  } catch {
    return {};
  }
}

// The heat map is off whenever a case is opened: nobody is to be led by it unawares.
const REMEMBERED = "input[type=range], input[type=checkbox]:not([name=heat])";

function restore() {
  const kept = remembered();
  layers.elements.heat.checked = false;
  for (const input of layers.querySelectorAll(REMEMBERED)) {
    if (!(input.name in kept)) continue;
    if (input.type === "checkbox") input.checked = kept[input.name];
    else input.value = kept[input.name];
  }
}

function keep() {
  const inputs = [...layers.querySelectorAll(REMEMBERED)];
  const state = inputs.map((one) => [one.name, one.type === "checkbox" ? one.checked : one.value]);
  localStorage.setItem(LAYERS, JSON.stringify(Object.fromEntries(state)));
}

function opacityOf(name) {
  if (!layers.elements[name].checked) return 0;
  return Number(layers.elements[`${name}-opacity`]?.value ?? 100) / 100;
}

function paint() {
  if (drawing) drawing.style.opacity = opacityOf("outlines");
  const { segmented, heat, heatState } = document.getElementById("case-field").dataset;
  lay("segmented", segmented);
  lay("heat", heatState === "drawn" ? heat : "");
  legend.hidden = !layers.elements.heat.checked;
}

function lay(name, url) {
  const opacity = url ? opacityOf(name) : 0;
  if (pictures[name]) return pictures[name].setOpacity(opacity);
  if (!opacity || !viewer.world.getItemCount()) return;
  const turn = shown;
  viewer.addSimpleImage({
    url,
    width: 1,
    opacity,
    success: ({ item }) => {
      if (turn !== shown || pictures[name]) return viewer.world.removeItem(item);
      pictures[name] = item;
      paint();
    },
  });
}

// --- the heat map -----------------------------------------------------------------------------

const legend = document.getElementById("heat-legend");
const heatNote = document.getElementById("heat-note");
let asking = ""; // the field that a map is just being asked for

/** Asks for the field's heat map if it is wanted and was never drawn; says where it stands. */
async function warm(again = false) {
  const article = document.getElementById("case-field");
  const { field, heatAsk, heatState, heatWhy } = article.dataset;
  heatNote.textContent = layers.elements.heat.checked ? told(heatAsk, heatState, heatWhy) : "";
  const ask = heatState === "" || (heatState === "failed" && again);
  if (!layers.elements.heat.checked || !heatAsk || !ask || asking === field) return;
  asking = field;
  const body = new FormData(layers);
  const answer = await fetch(heatAsk, { method: "POST", body }).catch(() => null);
  asking = "";
  if (field !== shown.field) return;
  if (answer?.ok) {
    // An event says when it is drawn; it may have come before this answer.
    if (!article.dataset.heatState) article.dataset.heatState = "wanted";
    heatNote.textContent = heatNote.dataset.wanted;
  } else {
    heatNote.textContent = heatNote.dataset.refused;
  }
}

function told(possible, state, why) {
  if (!possible) return heatNote.dataset.none;
  if (state === "failed") return `${why} ${heatNote.dataset.again}`;
  return state === "drawn" ? "" : heatNote.dataset.wanted;
}

export function toggle(name) {
  const box = layers.elements[name];
  if (!box || box.disabled) return;
  box.checked = !box.checked;
  box.dispatchEvent(new Event("change", { bubbles: true }));
}

// --- the field --------------------------------------------------------------------------------

export function show() {
  const article = document.getElementById("case-field");
  const { field, stamp, original, label } = article.dataset;
  frame.hidden = !field;
  if (!field) return;
  if (field !== shown.field) {
    shown = { field, stamp: "" };
    clear();
    frame.dataset.painted = "";
    scope.setAttribute("aria-label", label);
    document.dispatchEvent(new CustomEvent("leukolens:field", { detail: field }));
    viewer.open({ type: "image", url: original, buildPyramid: false });
  } else if (stamp !== shown.stamp && viewer.world.getItemCount()) {
    draw(article);
  }
  paint();
  warm();
}

function clear() {
  viewer.clearOverlays();
  drawing = null;
  for (const name of Object.keys(pictures)) delete pictures[name];
  note.textContent = "";
}

async function draw(article) {
  const { field, stamp, cells: address } = article.dataset;
  const turn = shown;
  turn.stamp = stamp;
  if (!address) return;
  const answer = await fetch(address, { headers: { Accept: "application/json" } }).catch(() => null);
  const known = answer?.ok && (await answer.json().catch(() => null));
  // Somebody has turned the page meanwhile, perhaps there and back; or newer outlines are asked for.
  if (turn !== shown || stamp !== turn.stamp) return;
  if (!known) {
    note.textContent = answer?.status === 404 ? note.dataset.none : note.dataset.failed;
    return;
  }
  const found = { field, ...known };
  if (drawing) viewer.removeOverlay(drawing);
  drawing = outlined(found);
  viewer.addOverlay({ element: drawing, location: viewer.world.getItemAt(0).getBounds() });
  paint();
  document.dispatchEvent(new CustomEvent("leukolens:cells", { detail: found }));
}

function outlined({ width, height, cells }) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("class", "outlines");
  svg.setAttribute("aria-hidden", "true");
  cells.forEach(({ outline }, number) => {
    const cell = document.createElementNS(SVG, "polygon");
    cell.setAttribute("points", outline.join(" "));
    cell.dataset.cell = number;
    svg.append(cell);
  });
  return svg;
}

/** Marks one cell on the field, and brings it into view. */
export function mark(number) {
  for (const cell of drawing?.children ?? []) {
    cell.classList.toggle("is-marked", Number(cell.dataset.cell) === number);
  }
}

viewer.addHandler("open", () => {
  draw(document.getElementById("case-field"));
  paint();
  frame.dataset.painted = shown.field;
  document.dispatchEvent(new CustomEvent("leukolens:painted"));
});
viewer.addHandler("open-failed", () => (note.textContent = note.dataset.lost));
viewer.addHandler("canvas-click", ({ quick, position }) => {
  const item = viewer.world.getItemAt(0);
  if (!quick || !item || !drawing) return;
  const at = item.viewerElementToImageCoordinates(position);
  const point = Object.assign(drawing.createSVGPoint(), { x: at.x, y: at.y });
  const cell = [...drawing.children].find((one) => one.isPointInFill(point));
  if (!cell) return;
  document.dispatchEvent(new CustomEvent("leukolens:cell", { detail: Number(cell.dataset.cell) }));
});

// --- hands ------------------------------------------------------------------------------------

const ZOOMS = {
  in: () => viewer.viewport.zoomBy(1.4),
  out: () => viewer.viewport.zoomBy(1 / 1.4),
  home: () => viewer.viewport.goHome(),
};
const pan = (x, y) => () => {
  const step = 0.15 / viewer.viewport.getZoom();
  viewer.viewport.panBy(new window.OpenSeadragon.Point(x * step, y * step));
};
const MOVES = {
  ArrowLeft: pan(-1, 0),
  ArrowRight: pan(1, 0),
  ArrowUp: pan(0, -1),
  ArrowDown: pan(0, 1),
  "+": ZOOMS.in,
  "=": ZOOMS.in,
  "-": ZOOMS.out,
  0: ZOOMS.home,
};

function move(action) {
  if (!viewer.world.getItemCount()) return;
  action();
  viewer.viewport.applyConstraints();
}

frame.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-zoom]");
  if (button) move(ZOOMS[button.dataset.zoom]);
});
scope.addEventListener("keydown", (event) => {
  const action = event.ctrlKey || event.metaKey || event.altKey ? null : MOVES[event.key];
  if (!action) return;
  event.preventDefault();
  move(action);
});
layers.addEventListener("input", () => {
  keep();
  paint();
});
layers.addEventListener("change", ({ target }) => {
  keep();
  paint();
  if (target.name === "heat") warm(true);
});
layers.addEventListener("submit", (event) => event.preventDefault());

restore();
layers.hidden = false;
show();
