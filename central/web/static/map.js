// Maps: <div data-map data-tiles="url" data-credit="..."> with its places in a JSON script inside. Without tiles the places
// are shown on a plain ground with a scale: nothing is loaded from elsewhere unless the settings say so. A place with a
// `count` stands for so many that the server gathered.
import { load, loadStyles } from "./load.js";

export function mountMaps(root) {
  for (const element of root.querySelectorAll("[data-map]:not([data-mounted])")) {
    element.dataset.mounted = "1";
    libraries().then(() => element.isConnected && mount(element));
  }
}

async function libraries() {
  await Promise.all([loadStyles("leaflet.css"), loadStyles("markercluster.css"), load("leaflet.js", "L")]);
  await load("markercluster.js", "Leaflet");
}

const round = (words) => L.divIcon({ className: "map-count", html: `<span>${words}</span>`, iconSize: [36, 36] });
const spot = (colour) => L.divIcon({ className: "map-spot", html: `<i class="${colour ? `bg-${colour}` : "bg-primary"}"></i>`, iconSize: [18, 18] });

function mount(element) {
  const places = JSON.parse(element.querySelector("script").textContent);
  const map = L.map(element, { attributionControl: Boolean(element.dataset.credit), zoomSnap: 0.5, maxZoom: 18 });
  element.map = map;
  map.attributionControl?.setPrefix(false);
  if (element.dataset.tiles) L.tileLayer(element.dataset.tiles, { attribution: element.dataset.credit }).addTo(map);
  L.control.scale({ imperial: false }).addTo(map);
  const group = L.markerClusterGroup({ iconCreateFunction: (cluster) => round(cluster.getChildCount()), showCoverageOnHover: false, maxClusterRadius: 48 });
  for (const place of places) {
    const icon = place.count ? round(place.count) : spot(place.colour);
    const marker = L.marker([place.lat, place.lon], { icon, title: place.title, alt: place.title });
    const link = document.createElement(place.href ? "a" : "span");
    link.textContent = place.title;
    if (place.href) link.href = place.href;
    const box = document.createElement("div");
    box.append(link);
    if (place.note) box.append(document.createElement("br"), place.note);
    (place.count ? map : group).addLayer(marker.bindPopup(box));
  }
  map.addLayer(group);
  if (places.length) map.fitBounds(L.latLngBounds(places.map((p) => [p.lat, p.lon])).pad(0.15), { maxZoom: 15 });
  else map.setView([-15, -52], 4);
  if ("mapPick" in element.dataset) pick(map, element.closest("form"));
  new ResizeObserver(() => map.invalidateSize()).observe(element);
}

// a form's latitude and longitude: one point, put by a click, dragged, or typed
function pick(map, form) {
  const fields = ["latitude", "longitude"].map((name) => form.querySelector(`[data-map-field=${name}]`));
  const fixed = fields.some((field) => field.disabled);
  const marker = L.marker([0, 0], { icon: spot(""), draggable: !fixed, keyboard: false });
  const fill = ({ lat, lng }) => {
    [fields[0].value, fields[1].value] = [lat, lng].map((degrees) => degrees.toFixed(6));
    marker.setLatLng([lat, lng]).addTo(map);
  };
  const follow = () => {
    const [lat, lng] = fields.map((field) => parseFloat(field.value.replace(",", ".")));
    if (!(Math.abs(lat) <= 90 && Math.abs(lng) <= 180)) return marker.remove();
    marker.setLatLng([lat, lng]).addTo(map);
    return map.setView([lat, lng], Math.max(map.getZoom(), 14), { animate: false });
  };
  follow();
  if (fixed) return;
  for (const field of fields) field.addEventListener("input", follow);
  marker.on("dragend", () => fill(marker.getLatLng().wrap()));
  map.on("click", (event) => fill(event.latlng.wrap()));
}
