// The viewer of the report. Its data are JSON in the page, its images are drawn by NiiVue, and it requests nothing.
(() => {
  "use strict";
  const byId = (id) => document.getElementById(id);
  const section = byId("viewer");
  const status = byId("viewer-status");
  const frame = byId("viewer-frame");
  const slider = byId("viewer-slice");
  const opacity = byId("viewer-opacity");
  const buttons = (kind) => [...section.querySelectorAll(`button[data-${kind}]`)];
  const AXES = [2, 1, 0]; // the voxel axis across the axial, coronal and sagittal plane; axial for all three
  const STILL = " The pictures of this report show the same results.";

  const data = JSON.parse(byId("viewer-data").textContent);
  const scans = data.groups.flatMap((group) => Object.entries(group.scans).map(([title, volume]) => ({ title, volume, group })));
  const state = { scan: 0, plane: 0, request: 0, hidden: [] };
  const images = new Map();
  let view;

  const gunzip = async (text) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
  };

  const loadNiivue = async () => {
    const script = document.createElement("script");
    script.textContent = new TextDecoder().decode(await gunzip(byId("viewer-niivue").textContent));
    document.head.append(script); // a script with text runs at once, if the page's policy allows its hash
    if (!window.niivue) throw new Error("the code of NiiVue did not run");
  };

  // One image of NiiVue per stored volume. Masks have one colour, maps the colours of the report's entropy.
  const imageOf = async (text, button) => {
    if (!images.has(text)) {
      const image = await window.niivue.NVImage.new(await gunzip(text), "volume.nii", button ? "magma" : "gray");
      image.colorbarVisible = false;
      if (button && button.dataset.colour) {
        const [red, green, blue] = button.dataset.colour.split(",").map(Number);
        image.setColormapLabel({ R: [0, red], G: [0, green], B: [0, blue], A: [0, 255], I: [0, 1], labels: ["", ""] });
      } else {
        image.cal_min = button ? data.clear : 0;
        image.cal_max = data.levels - 1;
      }
      images.set(text, image);
    }
    return images.get(text);
  };

  const axis = () => AXES[state.plane] ?? 2;
  const sizes = () => view.volumes[0].dimsRAS.slice(1, 4);
  const voxel = () => [...view.frac2vox(view.scene.crosshairPos)].map(Math.round);
  const positionMm = () => [...view.frac2mm(view.scene.crosshairPos)].slice(0, 3);

  const moveTo = (index) => {
    const at = voxel();
    at[axis()] = Math.max(0, Math.min(sizes()[axis()] - 1, index));
    view.scene.crosshairPos = view.vox2frac(at);
    view.drawScene();
    describe();
  };
  const step = (slices) => moveTo(voxel()[axis()] + slices);

  const describe = () => {
    const scan = scans[state.scan];
    const index = voxel()[axis()];
    const count = sizes()[axis()];
    const height = scan.group.heights_mm[index];
    slider.max = count;
    slider.value = index + 1;
    const plane = ["axial", "coronal", "sagittal"][state.plane] ?? "axial";
    const place = axis() === 2 ? `, ${height < 0 ? "−" : "+"}${Math.abs(height)} mm` : "";
    status.textContent = `${scan.title}, ${plane} slice ${index + 1} of ${count}${place}`;
    slider.setAttribute("aria-valuetext", status.textContent);
  };

  const show = async () => {
    const request = ++state.request;
    section.setAttribute("aria-busy", "true");
    const { volume, group } = scans[state.scan];
    buttons("scan").forEach((button, k) => button.setAttribute("aria-pressed", k === state.scan));
    buttons("overlay").forEach((button) => { button.disabled = !(button.dataset.overlay in group.overlays); });
    const shown = buttons("overlay").filter((button) => !button.disabled && button.getAttribute("aria-pressed") === "true");
    byId("viewer-scale").hidden = !shown.some((button) => !button.dataset.colour);
    const rank = (button) => (button.dataset.colour ? data.layers.indexOf(button.dataset.overlay) : data.layers.length);
    const layers = [await imageOf(volume)];
    for (const button of shown.sort((one, other) => rank(one) - rank(other))) layers.push(await imageOf(group.overlays[button.dataset.overlay], button));
    if (request !== state.request) return; // a later choice has been made meanwhile
    const share = opacity.value / 100;
    layers.forEach((layer, k) => { layer.opacity = k ? (shown[k - 1].dataset.colour ? share : Math.min(1, 2 * share)) : 1; });
    const at = view.volumes.length ? positionMm() : data.start_mm;
    view.volumes = layers;
    view.back = layers[0];
    view.overlays = layers.slice(1);
    view.updateGLVolume();
    view.scene.crosshairPos = view.mm2frac(at);
    moveTo(voxel()[axis()]); // to the middle of a voxel
    section.setAttribute("aria-busy", "false");
  };

  const choosePlane = (plane) => {
    state.plane = plane;
    buttons("plane").forEach((button, k) => button.setAttribute("aria-pressed", k === plane));
    view.setCrosshairWidth(plane === 3 ? 1 : 0);
    const types = window.niivue.SLICE_TYPE;
    view.setSliceType([types.AXIAL, types.CORONAL, types.SAGITTAL, types.MULTIPLANAR][plane]);
    describe();
  };

  const chooseScan = (scan) => {
    state.scan = (scan + scans.length) % scans.length;
    return show();
  };

  const press = (button, pressed) => button.setAttribute("aria-pressed", pressed);
  const toggle = (button) => {
    press(button, button.getAttribute("aria-pressed") !== "true");
    return show();
  };
  const toggleAll = () => {
    const shown = buttons("overlay").filter((button) => button.getAttribute("aria-pressed") === "true");
    (shown.length ? shown : state.hidden).forEach((button) => press(button, !shown.length));
    if (shown.length) state.hidden = shown;
    return show();
  };
  const nextEntropy = () => {
    const maps = buttons("overlay").filter((button) => !button.dataset.colour && !button.disabled);
    const at = maps.findIndex((button) => button.getAttribute("aria-pressed") === "true");
    maps.forEach((button, k) => press(button, k === at + 1)); // none after the last
    return show();
  };

  const MOVES = {
    ArrowUp: () => step(1), ArrowDown: () => step(-1), PageUp: () => step(5), PageDown: () => step(-5),
    Home: () => moveTo(0), End: () => moveTo(Infinity),
    ArrowLeft: () => chooseScan(state.scan - 1), ArrowRight: () => chooseScan(state.scan + 1),
    0: toggleAll, e: nextEntropy,
  };
  const actionOf = (key) => {
    const letter = key.length === 1 ? key.toLowerCase() : key;
    if (letter in MOVES) return MOVES[letter];
    if (/^[1-9]$/.test(letter) && Number(letter) <= scans.length) return () => chooseScan(Number(letter) - 1);
    const keyed = [...buttons("overlay"), ...buttons("plane")];
    const button = keyed.find((one) => one.dataset.key.toLowerCase() === letter && !one.disabled);
    return button && (() => button.click());
  };

  const listen = () => {
    // In the capture phase, before NiiVue, whose own keys, wheel and touch would hold the page.
    const capture = { capture: true, passive: false };
    frame.addEventListener("keydown", (event) => {
      event.stopPropagation();
      const action = event.ctrlKey || event.metaKey || event.altKey ? undefined : actionOf(event.key);
      if (!action) return;
      event.preventDefault();
      action();
    }, capture);
    frame.addEventListener("keyup", (event) => event.stopPropagation(), capture);
    frame.addEventListener("wheel", (event) => {
      event.stopPropagation();
      if (!frame.contains(document.activeElement) || event.ctrlKey) return; // the page scrolls or zooms
      event.preventDefault();
      step(event.deltaY < 0 ? 1 : -1);
    }, capture);
    for (const kind of ["touchstart", "touchmove", "touchend", "contextmenu", "dblclick"]) {
      frame.addEventListener(kind, (event) => event.stopPropagation(), capture);
    }
    frame.addEventListener("mousedown", () => frame.focus());
    buttons("scan").forEach((button, k) => button.addEventListener("click", () => chooseScan(k)));
    buttons("overlay").forEach((button) => button.addEventListener("click", () => toggle(button)));
    buttons("plane").forEach((button, k) => button.addEventListener("click", () => choosePlane(k)));
    buttons("step").forEach((button) => button.addEventListener("click", () => step(Number(button.dataset.step))));
    slider.addEventListener("input", () => moveTo(slider.value - 1));
    opacity.addEventListener("input", show);
  };

  const start = async () => {
    status.textContent = "The viewer is loading.";
    await loadNiivue();
    for (const id of ["viewer-controls", "viewer-frame", "viewer-slices", "viewer-keys"]) byId(id).hidden = false;
    view = new window.niivue.Niivue({
      isRadiologicalConvention: true, sagittalNoseLeft: true, crosshairWidth: 0, dragAndDropEnabled: false, logLevel: "error",
      loadingText: "", showLegend: false, multiplanarShowRender: 0, fontColor: [0.92, 0.92, 0.92, 1],
      crosshairColor: [1, 1, 1, 0.6], isAntiAlias: false, showAllOrientationMarkers: true,
    });
    view.opts.dragMode = window.niivue.DRAG_MODE.none;
    await view.attachToCanvas(byId("viewer-canvas"));
    byId("viewer-canvas").tabIndex = -1;
    view.setSliceType(window.niivue.SLICE_TYPE.AXIAL);
    view.onLocationChange = () => describe();
    byId("viewer-canvas").addEventListener("webglcontextlost", () => fail("The browser has stopped the viewer."));
    listen();
    await show();
    section.dataset.ready = "true";
  };

  const fail = (reason) => {
    for (const id of ["viewer-controls", "viewer-frame", "viewer-slices", "viewer-keys", "viewer-scale"]) byId(id).hidden = true;
    status.textContent = reason + STILL;
    section.dataset.ready = "false";
  };

  const supported = () => {
    const context = document.createElement("canvas").getContext("webgl2");
    context?.getExtension("WEBGL_lose_context")?.loseContext();
    return Boolean(context);
  };

  if (!("DecompressionStream" in window) || !supported()) {
    fail("The viewer needs WebGL 2, which this browser does not offer.");
    return;
  }
  status.textContent = "The viewer starts when it is on the screen.";
  // A reader of the conclusion alone does not wait for a viewer.
  const observer = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    start().catch((error) => fail(`The viewer did not start (${error.message}).`));
  }, { rootMargin: "200px" });
  observer.observe(section);
})();
