// Range, channel and unit of the profile chart: every change is a new source, so that only what is looked at is loaded.
import { redraw, reload } from "./charts/mount.js";

const shift = (date, by) => new Date(Date.parse(`${date}T12:00:00Z`) + by * 86400000).toISOString().slice(0, 10);

function mount(root) {
  const form = root.querySelector("[data-profile-controls]");
  if (!form) return;
  const chart = root.querySelector("[data-chart=profile]");
  const { from, days, channel } = form.elements;

  const load = () => {
    const query = new URLSearchParams({ from: from.value, days: days.value, channel: channel.value });
    return reload(chart, `${form.action}?${query}`);
  };

  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", (event) => {
    if (event.target.name === "show") {
      chart.dataset.show = event.target.value;
      redraw(chart);
    } else if (from.value) {
      load();
    }
  });
  for (const button of form.querySelectorAll("[data-step]")) {
    button.addEventListener("click", () => {
      from.value = shift(from.value, Number(button.dataset.step) * Number(days.value));
      load();
    });
  }
}

mount(document);
document.body.addEventListener("htmx:afterSwap", (event) => mount(event.detail.target));
