// Colours, numbers and instants shared by all charts. Words come with the data, already translated.
export const tag = document.documentElement.lang;
export const zone = document.body.dataset.zone || "UTC";

export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--mg-${name}`).trim();
}

const formats = new Map();
export function number(value, digits = 2) {
  if (value === null || value === undefined) return "–";
  if (!formats.has(digits)) {
    formats.set(digits, new Intl.NumberFormat(tag, { minimumFractionDigits: 0, maximumFractionDigits: digits }));
  }
  return formats.get(digits).format(value);
}

const units = JSON.parse(document.body.dataset.units || "{}");
export const unitName = (unit) => units[unit] ?? unit;

// three significant figures are enough beside a unit
export function amount(value, unit) {
  if (value === null || value === undefined) return "–";
  let prefix = "";
  if (/^k(W|var|VA)/.test(unit) && Math.abs(value) >= 10000) {
    [value, prefix] = Math.abs(value) >= 1e7 ? [value / 1e6, "G"] : [value / 1e3, "M"];
    unit = unit.slice(1);
  }
  const digits = Math.abs(value) >= 1000 ? 0 : Math.abs(value) >= 100 ? 1 : 2;
  return `${number(value, digits)}\u00a0${unitName(prefix + unit)}`;
}

const instants = {
  day: new Intl.DateTimeFormat(tag, { timeZone: zone, day: "2-digit", month: "short" }),
  time: new Intl.DateTimeFormat(tag, { timeZone: zone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" }),
  full: new Intl.DateTimeFormat(tag, { timeZone: zone, weekday: "short", day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" }),
};
export const day = (at) => instants.day.format(at).replace(/\.$/, "").replace(" de ", " ").replace(".", "");
export const time = (at) => instants.time.format(at);
export const full = (at) => instants.full.format(at);

// ECharts puts its ticks on whole hours of UTC (useUTC). Instants are drawn moved by the zone's offset at the chart's
// start, so that ticks fall on local hours; labels and tooltips are made from the real instant again.
export function clock(offset) {
  const ms = offset * 1000;
  return { to: (at) => at + ms, from: (x) => x - ms, label: (x) => (time(x - ms) === "00:00" ? day(x - ms) : time(x - ms)) };
}

export function frame() {
  const axis = colour("axis");
  return {
    useUTC: true,
    textStyle: { fontFamily: getComputedStyle(document.body).fontFamily, color: colour("ink") },
    animationDuration: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 350,
    grid: { left: 8, right: 12, top: 36, bottom: 8, containLabel: true },
    legend: {
      top: 0, left: 0, icon: "roundRect", itemWidth: 10, itemHeight: 10, itemGap: 14, type: "scroll",
      textStyle: { color: axis, fontSize: 12 }, inactiveColor: colour("grid"), pageTextStyle: { color: axis },
    },
    tooltip: {
      trigger: "axis", confine: true, className: "chart-tip", backgroundColor: colour("paper"), borderColor: colour("grid"),
      textStyle: { color: colour("ink"), fontSize: 12 }, padding: [8, 12],
      axisPointer: { type: "line", lineStyle: { color: axis, opacity: 0.5 } },
    },
  };
}

export function valueAxis(name, extra = {}) {
  return {
    type: "value", name: unitName(name), nameLocation: "end", nameGap: 10, nameTextStyle: { color: colour("axis"), align: "left", padding: [0, 0, 0, -24], fontSize: 11 },
    axisLabel: { color: colour("axis"), fontSize: 11, formatter: (value) => number(value, 2) },
    splitLine: { lineStyle: { color: colour("grid") } }, axisLine: { show: false }, axisTick: { show: false }, ...extra,
  };
}

export function timeAxis(hours, extra = {}) {
  return {
    type: "time", minInterval: 60000, axisLine: { lineStyle: { color: colour("grid") } }, axisTick: { show: false }, splitLine: { show: false },
    axisLabel: { color: colour("axis"), fontSize: 11, hideOverlap: true, formatter: hours.label }, ...extra,
  };
}

export function categoryAxis(data, extra = {}) {
  return {
    type: "category", data, axisLine: { lineStyle: { color: colour("grid") } }, axisTick: { show: false },
    axisLabel: { color: colour("axis"), fontSize: 11, hideOverlap: true }, ...extra,
  };
}

const escapes = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
export const escape = (text) => String(text).replace(/[&<>"]/g, (c) => escapes[c]);

export function tip(title, rows, note = "") {
  const body = rows.map(([mark, name, value]) => `<tr><td><i style="background:${mark}"></i>${escape(name)}</td><td>${escape(value)}</td></tr>`);
  return `<b>${escape(title)}</b><table>${body.join("")}</table>${note ? `<div>${escape(note)}</div>` : ""}`;
}
