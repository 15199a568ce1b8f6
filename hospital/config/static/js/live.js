// The page's ear: one socket, kept alive, that says which reports changed. Ids only.
//
// <body data-live="/ws/clinic/" data-since="17"> names the socket and the last event that the page
// as rendered knows of. Others listen on `document`:
//   leukolens:event   {id, kind, subject, version}, each id once
//   leukolens:refetch the page may have missed something and should look for itself
//   leukolens:state   connecting | live | reconnecting | offline | ended
// "Live" is a promise: it is shown only while the server said within SILENCE that it has read the
// log for us (hello, tick). What else it sends, it may send without having looked.

const SILENCE = 25_000;
const LONGEST_WAIT = 15_000;
const ENDED = new Set([4401, 4403]); // signed out, or nothing left to listen to

const badge = document.getElementById("live");
const seen = new Set();
let last = Number(document.body.dataset.since || 0);
let socket = null;
let heardAt = Date.now(); // the last hello or tick
let triedAt = 0;
let greeted = false;
let failures = 0;
let timer = 0;
let ended = false;

function tell(name, detail) {
  document.dispatchEvent(new CustomEvent(`leukolens:${name}`, { detail }));
}

function show(state) {
  if (badge.dataset.state === state) return;
  badge.dataset.state = state;
  tell("state", state);
}

function connect() {
  window.clearTimeout(timer);
  if (ended || (socket && socket.readyState <= WebSocket.OPEN)) return;
  const address = new URL(document.body.dataset.live, location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  address.searchParams.set("since", last);
  socket = new WebSocket(address);
  triedAt = Date.now();
  socket.addEventListener("message", hear);
  socket.addEventListener("close", lose);
}

function hear({ data, target }) {
  if (target !== socket) return;
  const message = JSON.parse(data);
  if ("event" in message) return takeEvent(message.event);
  if ("reload" in message) return tell("refetch");
  if ("hello" in message) {
    failures = 0;
    // After a gap, look once even if nothing was replayed.
    if (greeted) tell("refetch");
    greeted = true;
  }
  heardAt = Date.now();
  last = Math.max(last, message.hello ?? message.tick ?? 0);
  show("live");
}

function takeEvent(event) {
  last = Math.max(last, event.id);
  if (seen.has(event.id)) return;
  seen.add(event.id);
  tell("event", event);
}

function lose({ code, target }) {
  if (target !== socket) return;
  socket = null;
  if (ENDED.has(code)) {
    ended = true;
    show("ended");
    tell("refetch"); // the server decides whether what is on screen may stay
    return;
  }
  if (badge.dataset.state === "live") show("reconnecting");
  const wait = Math.min(LONGEST_WAIT, 500 * 2 ** failures++);
  timer = window.setTimeout(connect, wait * (0.5 + Math.random()));
}

function watch() {
  const now = Date.now();
  if (ended || now - heardAt < SILENCE) return;
  show("offline");
  // A connection that died without a word: let go of it and try again. A new one has time to greet.
  if (socket?.readyState === WebSocket.OPEN && now - triedAt >= SILENCE) {
    const dead = socket;
    lose({ code: 0, target: dead });
    dead.close();
  }
}

function hurry() {
  if (document.visibilityState === "visible" && !socket) connect();
}

window.setInterval(watch, 1_000);
window.addEventListener("online", hurry);
window.addEventListener("offline", () => show("offline"));
document.addEventListener("visibilitychange", hurry);
connect();
