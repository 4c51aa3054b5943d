// What every page does: confirmations, copying, notices of failed requests, live pieces, charts, grids.
import { mountCharts } from "./charts/mount.js";
import { mountGrids } from "./grids.js";
import { mountMaps } from "./map.js";
import { mountTariffs } from "./registry.js";
import "./tree.js";

document.addEventListener("submit", (event) => {
  const question = event.target.dataset?.confirm;
  if (question && !window.confirm(question)) event.preventDefault();
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.querySelector(button.dataset.copy);
  source.select();
  await navigator.clipboard?.writeText(source.value);
});

// a piece that cannot be refreshed stays as it is, marked as old, until the server answers again
document.body.addEventListener("htmx:afterRequest", (event) => {
  event.detail.elt.classList.toggle("opacity-50", !event.detail.successful && event.detail.requestConfig.verb === "get");
});
// refusals of a command carry a notice: show it
document.body.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.xhr.status === 422 || event.detail.xhr.status === 409) event.detail.shouldSwap = true;
});
// an order given in a dialog closes it: what became of it stands above the page
document.body.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.elt.matches(".modal form")) event.detail.elt.querySelector("[data-bs-dismiss]").click();
});
// a dialog begins at its first field, once the menu it was opened from has closed; that menu's button has the focus after it
let menu = null;
document.addEventListener("shown.bs.modal", (event) => setTimeout(() => event.target.querySelector("input:not([type=hidden]), select, textarea")?.focus()));
document.addEventListener("show.bs.modal", (event) => { menu = event.relatedTarget?.closest(".dropdown")?.querySelector("[data-bs-toggle=dropdown]") ?? null; });
document.addEventListener("hidden.bs.modal", () => { menu?.focus(); menu = null; });
// nothing is fetched for a page nobody looks at
document.body.addEventListener("htmx:beforeRequest", (event) => {
  if (document.hidden && event.detail.requestConfig.triggeringEvent === undefined) event.preventDefault();
});

mountCharts(document);
mountGrids(document);
mountMaps(document);
mountTariffs(document);
document.body.addEventListener("htmx:afterSwap", (event) => { mountCharts(event.detail.target); mountMaps(document); mountTariffs(document); });
