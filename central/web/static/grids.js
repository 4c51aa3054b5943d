// Grids: <div data-grid="meters" data-source="url"> with its words in a JSON script beside it. Paging, order and search are the server's.
import { load, loadStyles } from "./load.js";

export function mountGrids(root) {
  for (const element of root.querySelectorAll("[data-grid]")) gridLibrary().then(() => meters(element));
}

export const gridLibrary = () => Promise.all([loadStyles("tabulator.css"), load("tabulator.js", "Tabulator")]);

// a grid holds rows only, whatever the library says of its parts
export function speak(element) {
  const holder = element.querySelector(".tabulator-tableholder");
  element.removeAttribute("aria-owns");
  holder.setAttribute("role", "rowgroup");
  holder.querySelector(".tabulator-table")?.setAttribute("role", "presentation");
  for (const group of holder.querySelectorAll(".tabulator-group")) group.setAttribute("role", "row");
}

const escapes = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
const safe = (text) => String(text ?? "").replace(/[&<>"]/g, (c) => escapes[c]);

function meters(element) {
  const words = JSON.parse(document.getElementById(element.dataset.words).textContent);
  const narrow = matchMedia("(max-width: 767.98px)").matches;
  const badge = (cell) => {
    const row = cell.getData();
    return `<span class="badge bg-${row.colour}-lt">${safe(row.state)}</span>`;
  };
  const strip = (cell) => `<span class="strip" role="img" aria-label="${safe(cell.getData().stripLabel)}">${cell.getValue()
    .map((day) => `<i class="${day.css}" title="${safe(day.title)}"></i>`).join("")}</span>`;
  const name = (cell) => {
    const row = cell.getData();
    const lower = [row.customer, narrow ? row.last : ""].filter(Boolean).map(safe).join(" · ");
    return `<div class="w-100"><a class="ellipsis fw-medium" href="/meters/${encodeURIComponent(row.key)}">${safe(row.serial)}${row.name ? ` <span class="text-secondary fw-normal">${safe(row.name)}</span>` : ""}</a><span class="ellipsis text-secondary small">${lower}</span></div>`;
  };
  const stack = (cell) => `<div>${badge(cell)}<div class="mt-1">${strip(cell)}</div></div>`;
  const gateway = (cell) => (cell.getValue() ? `<a class="ellipsis" href="/gateways/${encodeURIComponent(cell.getValue())}">${safe(cell.getData().gatewayName)}</a>` : "–");
  const plain = (cell) => `<span class="ellipsis">${safe(cell.getValue())}</span>`;
  const last = (cell) => `<span class="ellipsis" title="${safe(cell.getData().lastExact)}">${safe(cell.getValue())}</span>`;
  const wide = [
    { title: words.meter, field: "key", formatter: name, minWidth: 200, widthGrow: 3 },
    { title: words.point, field: "point", formatter: plain, minWidth: 150, widthGrow: 2 },
    { title: words.state, field: "state", formatter: badge, minWidth: 150, widthGrow: 0 },
    { title: words.last, field: "last", formatter: last, minWidth: 150 },
    { title: words.availability, field: "strip", formatter: strip, minWidth: 150 },
    { title: words.gateway, field: "gateway", formatter: gateway, minWidth: 150, widthGrow: 2 },
  ];
  const small = [
    { title: words.meter, field: "key", formatter: name, widthGrow: 3, minWidth: 150 },
    { title: words.state, field: "strip", formatter: stack, width: 158 },
  ];
  const query = () => Object.fromEntries(new FormData(document.getElementById("meter-search")));
  const table = new Tabulator(element, {
    layout: "fitColumns",
    columns: narrow ? small : wide,
    columnDefaults: { resizable: !narrow, headerSort: false },
    movableColumns: !narrow,
    pagination: true,
    paginationMode: "remote",
    paginationSize: 25,
    paginationCounter: "rows",
    footerElement: "#meter-foot",
    ajaxURL: element.dataset.source,
    ajaxParams: query,
    dataLoader: false,
    placeholder: words.empty,
    locale: "page",
    langs: { page: { pagination: words.pagination } },
  });
  element.table = table;
  table.on("renderComplete", () => speak(element));
  const count = document.getElementById("meter-count");
  table.on("dataLoaded", () => { count.textContent = element.dataset.total ?? ""; element.dataset.drawn = "1"; });
  let pause;
  const form = document.getElementById("meter-search");
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => {
    clearTimeout(pause);
    pause = setTimeout(() => {
      table.setPage(1);
      const search = new URLSearchParams(query());
      history.replaceState(null, "", `?${search}`);
      for (const link of document.querySelectorAll("[data-export]")) link.href = `${link.dataset.export}?${search}`;
    }, 250);
  });
}
