// Arranging the dashboard: the page lays its widgets out by itself; GridStack comes only when somebody arranges them.
import { load, loadStyles } from "./load.js";

const board = document.getElementById("board");
const tools = document.querySelector("[data-tools]");
const said = document.querySelector("[data-said]");
const editButton = document.querySelector("[data-edit]");
const narrow = () => board.clientWidth < 640;
const GAP = 16;
const ROW = 84; // px: one row and a gap, as console.css has them
let grid = null;
let dirty = false;

const widgets = () => [...board.querySelectorAll(":scope > .widget")];
const nameOf = (widget) => widget.querySelector(".card-title").textContent.trim();
const place = (widget) => Object.fromEntries(["x", "y", "w", "h"].map((key) => [key, Number(widget.getAttribute(`gs-${key}`) ?? 1)]));

function say(words, widget, more = {}) {
  said.textContent = Object.entries({ name: nameOf(widget), ...more }).reduce((text, [key, value]) => text.replace(`{${key}}`, value), words);
}

async function begin() {
  editButton.disabled = true;
  if (!narrow()) await Promise.all([load("gridstack.js", "GridStack"), loadStyles("gridstack.css")]);
  editButton.disabled = false;
  editButton.setAttribute("aria-pressed", "true");
  tools.hidden = false;
  document.body.classList.add("is-arranging");
  if (!narrow()) {
    board.classList.add("is-grid");
    grid = GridStack.init({ column: 12, cellHeight: ROW, margin: GAP / 2, float: false, handle: ".widget-head", animate: true, resizable: { handles: "se,e,s" } }, board);
    grid.on("change added removed", () => { dirty = true; empty(); });
  }
  tools.querySelector("[data-add]")?.closest(".dropdown").querySelector("button").focus();
}

const leave = () => { dirty = false; location.reload(); };

function empty() {
  document.querySelector("[data-board-empty]").classList.toggle("d-none", widgets().length > 0);
}

async function save() {
  const placed = widgets().map((widget) => ({
    id: widget.getAttribute("gs-id"), kind: widget.dataset.kind, ...place(widget),
    options: Object.fromEntries([...widget.querySelectorAll("[data-option]")].map((field) => [field.dataset.option, Number(field.value)])),
  }));
  const headers = JSON.parse(document.body.getAttribute("hx-headers"));
  const answer = await fetch("/dashboard", { method: "POST", headers: { ...headers, "content-type": "application/json" }, body: JSON.stringify(placed) });
  if (answer.ok) leave();
  else said.textContent = board.dataset.failed;
}

async function add(kind) {
  const names = new Set(widgets().map((widget) => widget.getAttribute("gs-id")));
  let name = kind;
  for (let n = 2; names.has(name); n += 1) name = `${kind}-${n}`;
  const answer = await fetch(`/dashboard/frame/${kind}?${board.dataset.query}&name=${name}`, { headers: { "hx-request": "true" } });
  if (!answer.ok) return;
  const box = document.createElement("template");
  box.innerHTML = (await answer.text()).trim();
  const widget = box.content.firstElementChild;
  const bottom = Math.max(0, ...widgets().map((each) => place(each).y + place(each).h));
  widget.setAttribute("gs-y", bottom);
  board.append(widget);
  grid?.makeWidget(widget);
  htmx.process(widget);
  dirty = true;
  empty();
  say(said.dataset.added, widget);
  widget.scrollIntoView({ block: "center", behavior: "smooth" });
  widget.querySelector(grid ? "[data-handle]" : "[data-remove]").focus();
}

function remove(widget) {
  const next = widgets()[widgets().indexOf(widget) + 1] ?? widgets()[widgets().indexOf(widget) - 1];
  say(said.dataset.removed, widget);
  if (grid) grid.removeWidget(widget);
  else widget.remove();
  dirty = true;
  empty();
  (next?.querySelector("[data-remove]") ?? tools.querySelector("button")).focus();
}

// on a phone the order is all there is: two neighbours change their places
function step(widget, by) {
  const other = widgets()[widgets().indexOf(widget) + by];
  if (!other) return;
  const [mine, theirs] = [place(widget), place(other)];
  for (const key of ["x", "y"]) {
    widget.setAttribute(`gs-${key}`, theirs[key]);
    other.setAttribute(`gs-${key}`, mine[key]);
  }
  if (by < 0) other.before(widget);
  else other.after(widget);
  dirty = true;
  widget.querySelector(`[data-step="${by}"]`).focus();
}

function press(event) {
  const widget = event.target.closest("[data-handle]")?.closest(".widget");
  if (!widget || !grid) return;
  const at = place(widget);
  const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [0, 0];
  if (event.key === "Delete") return remove(widget);
  if (!dx && !dy) return;
  event.preventDefault();
  if (event.shiftKey) grid.update(widget, { w: Math.min(12 - at.x, Math.max(1, at.w + dx)), h: Math.max(1, at.h + dy) });
  else grid.update(widget, { x: Math.min(12 - at.w, Math.max(0, at.x + dx)), y: Math.max(0, at.y + dy) });
  const now = place(widget);
  say(said.dataset.moved, widget, { x: now.x + 1, y: now.y + 1, w: now.w, h: now.h });
  widget.querySelector("[data-handle]").focus();
}

editButton.addEventListener("click", () => (tools.hidden ? begin() : leave()));
document.querySelector("[data-cancel]").addEventListener("click", leave);
document.querySelector("[data-save]").addEventListener("click", save);
tools.addEventListener("click", (event) => {
  const button = event.target.closest("[data-add]");
  if (button) add(button.dataset.add);
});
board.addEventListener("click", (event) => {
  const widget = event.target.closest(".widget");
  if (event.target.closest("[data-remove]")) remove(widget);
  else if (event.target.closest("[data-step]")) step(widget, Number(event.target.closest("[data-step]").dataset.step));
});
board.addEventListener("keydown", press);
board.addEventListener("change", (event) => {
  const field = event.target.closest("[data-option]");
  if (!field) return;
  const body = field.closest(".widget").querySelector(".widget-body");
  const source = new URL(body.getAttribute("hx-get"), location.href);
  source.searchParams.set(field.dataset.option, field.value);
  body.setAttribute("hx-get", source.pathname + source.search);
  htmx.ajax("GET", source.pathname + source.search, { target: body, swap: "innerHTML" });
  dirty = true;
});
addEventListener("beforeunload", (event) => dirty && event.preventDefault());

// one widget that fails says so, and does not take the page with it
board.addEventListener("htmx:responseError", (event) => {
  if (event.target.querySelector(".waiting")) event.target.innerHTML = `<div class="empty"><p class="text-secondary mb-0"></p></div>`;
  const words = event.target.querySelector(".empty p");
  if (words && !words.textContent) words.textContent = board.dataset.failed;
});

// date and gateways
const scope = document.getElementById("scope");
scope.elements.date.addEventListener("change", () => scope.elements.date.validity.valid && scope.requestSubmit());
document.querySelector("[data-all-gateways]").addEventListener("click", () => {
  document.getElementById("gateway-choice").replaceChildren();
  scope.requestSubmit();
});
