// Finds <div class="chart" data-chart="kind" data-source="url">, fetches its data, draws it, and keeps it current.
import { load } from "../load.js";
import { bars } from "./bars.js";
import { lines } from "./lines.js";
import { profile } from "./profile.js";
import { bills } from "./bills.js";
import { maxima } from "./maxima.js";
import { spark } from "./spark.js";

const kinds = { bars, lines, profile };
Object.assign(kinds, { bills, maxima, spark });
const mounted = new Set();

export function mountCharts(root) {
  for (const element of root.querySelectorAll("[data-chart]")) {
    if (element.chart) continue;
    mounted.add(element);
    show(element);
    new ResizeObserver(() => element.chart?.resize()).observe(element);
    const seconds = Number(element.dataset.every);
    if (!seconds) continue;
    const timer = setInterval(() => {
      if (!element.isConnected) clearInterval(timer);
      else if (!document.hidden) show(element);
    }, seconds * 1000);
  }
}

async function show(element) {
  element.classList.add("is-loading");
  try {
    const answer = await fetch(element.dataset.source, { headers: { accept: "application/json" } });
    if (!answer.ok) throw new Error(`${answer.status}`);
    element.data = await answer.json();
    await load("echarts.js", "echarts");
    draw(element);
  } catch (error) {
    if (!element.data) element.dataset.empty = `${element.dataset.failed ?? ""} ${error.message}`;
  } finally {
    element.classList.remove("is-loading");
  }
}

function draw(element) {
  const data = element.data;
  if (data.empty) {
    element.dataset.empty = data.empty;
    element.chart?.clear();
    return;
  }
  delete element.dataset.empty;
  element.chart ??= echarts.init(element, null, { renderer: "canvas" });
  element.chart.setOption(kinds[element.dataset.chart](data, element), { notMerge: true });
  element.dataset.drawn = "1";
}

// another source for the same chart: a range, a channel
export function reload(element, source) {
  element.dataset.source = source;
  return show(element);
}

export function redraw(element) {
  if (element.data) draw(element);
}

document.addEventListener("mg:theme", () => mounted.forEach((element) => (element.isConnected ? redraw(element) : mounted.delete(element))));
