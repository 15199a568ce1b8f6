// Keeps the live parts of a page up to date: fetches them again when something happened.
//
// <div data-refresh="/worklist/live/" [data-subject="…"] [data-kind="…"] [data-every="20"]> names
// where they come from; on a page about one thing, whose events matter, and which kind of events
// does; and after how many seconds the page looks by itself, where not every change is an event. The answer's parts are swapped in by id
// (hx-swap-oob), so focus, scrolling and what is being typed elsewhere stay as they are.
// Bursts become one request; a request that failed is made again; a button may hold the list still.

const source = document.querySelector("[data-refresh]");
const news = document.getElementById("news");
const holder = document.querySelector("[data-hold]");
const waiting = document.querySelector("[data-hold-waiting]");
const GAP = 600;
const EVERYWHERE = new Set(["critical.changed", "reading_rule.changed"]);

let wanted = false;
let busy = false;
let pressed = false;
let others = 0; // requests of this page's own buttons that are under way
let scheduled = 0;
let startedAt = 0;
let failures = 0;
let signingOut = false; // the answer to that is the next page, and not this one once more

function want() {
  wanted = true;
  if (held()) waiting.hidden = false;
  schedule(Math.max(120, startedAt + GAP - Date.now()));
}

function schedule(delay) {
  if (!scheduled) scheduled = window.setTimeout(run, delay);
}

function run() {
  scheduled = 0;
  // Not under a finger: the row about to be clicked must not move away. And not before the answer
  // to a button just pressed, which brings the same parts.
  if (!wanted || busy || pressed || others || held()) return;
  wanted = false;
  busy = true;
  startedAt = Date.now();
  const asked = window.htmx.ajax("GET", source.dataset.refresh, { source, target: source, swap: "none" });
  asked.catch(() => {}); // no answer came: `finished` has heard of it
}

function held() {
  return holder?.getAttribute("aria-pressed") === "true";
}

function started({ detail }) {
  if (detail.requestConfig.elt !== source) others += 1;
}

function finished({ detail }) {
  if (detail.requestConfig.elt !== source) {
    others -= 1;
    if (wanted) want();
    return;
  }
  busy = false;
  const { status } = detail.xhr;
  if ([401, 403, 404].includes(status)) return begone();
  if (detail.successful) {
    failures = 0;
    if (wanted) want();
    return;
  }
  wanted = true;
  schedule(Math.min(30_000, 1_000 * 2 ** failures++));
}

function guard(event) {
  const { xhr, requestConfig } = event.detail;
  if (requestConfig.elt !== source || !xhr.responseURL) return;
  if (others || pressed) {
    // A button was pressed meanwhile, and its form must still be there when its answer comes; or
    // something is being pressed, and would not be there when the finger is lifted.
    event.detail.shouldSwap = false;
    wanted = true;
    return;
  }
  const asked = new URL(source.dataset.refresh, location.href).pathname;
  if (new URL(xhr.responseURL).pathname !== asked) {
    // Sent elsewhere, to sign in: what stands on this screen may not stay.
    event.detail.shouldSwap = false;
    begone();
  }
}

function begone() {
  // A reload would overtake the answer, and whoever signs in next would be led to this page.
  if (!signingOut) location.reload();
}

// --- what changed, for eyes and ears ----------------------------------------------------------

const changed = new Set();
const heard = [];

function compare({ detail: { target, fragment } }) {
  const before = new Map(newsIn(target).map((part) => [part.id, part.dataset]));
  for (const part of newsIn(fragment)) {
    const old = before.get(part.id);
    if (old?.version !== part.dataset.version) changed.add(part.id);
    if (old?.news !== part.dataset.news) heard.push(part.dataset.news);
  }
  for (const open of target.querySelectorAll("details[open][id]")) {
    fragment.querySelector(`#${CSS.escape(open.id)}`)?.setAttribute("open", "");
  }
}

function newsIn(root) {
  const parts = [...root.querySelectorAll("[data-news]")];
  return root.dataset?.news ? [root, ...parts] : parts;
}

function announce() {
  for (const id of changed) document.getElementById(id)?.classList.add("is-changed");
  changed.clear();
  if (heard.length && news) {
    const text = heard.length > 3 ? news.dataset.many.replace("%n", heard.length.toLocaleString(document.documentElement.lang)) : heard.join(". ");
    news.textContent = text;
  }
  heard.length = 0;
}

if (source) {
  const { subject, kind, every } = source.dataset;
  document.addEventListener("leukolens:event", ({ detail }) => {
    const ours = (!subject || detail.subject === subject) && (!kind || detail.kind === kind);
    // The banner of critical results stands on every page, whatever that is about.
    if (ours || EVERYWHERE.has(detail.kind)) want();
  });
  if (every) window.setInterval(() => document.hidden || want(), every * 1_000);
  if (every) document.addEventListener("visibilitychange", () => document.hidden || want());
  document.addEventListener("leukolens:refetch", want);
  document.addEventListener("htmx:beforeRequest", started);
  document.addEventListener("htmx:afterRequest", finished);
  document.addEventListener("htmx:beforeSwap", guard);
  document.addEventListener("htmx:oobBeforeSwap", compare);
  document.addEventListener("htmx:afterSettle", announce);
  document.querySelector("[data-sign-out]")?.addEventListener("submit", () => (signingOut = true));
  document.addEventListener("pointerdown", () => (pressed = true));
  for (const up of ["pointerup", "pointercancel"]) {
    document.addEventListener(up, () => {
      pressed = false;
      if (wanted) want();
    });
  }
  holder?.addEventListener("click", () => {
    holder.setAttribute("aria-pressed", String(!held()));
    waiting.hidden = true;
    if (wanted) want();
  });
}
