// A K in the plane: its unit ball, dom K*/lam, the selection at a point, and the path of Lion-K. The numbers are lionk's own.
(function () {
  "use strict";
  var data = window.LIONK_EXPLORE, root = document.getElementById("explore");
  if (!data || !root) { return; }
  var svg = root.querySelector("svg"), says = root.querySelector("output");
  var pick = root.querySelector("[name=K]"), decay = root.querySelector("[name=lam]");
  var m = [1.2, 0.5], NS = "http://www.w3.org/2000/svg", view = 2.3;

  data.functions.forEach(function (f, i) { pick.add(new Option(f.name, i)); });
  data.lams.forEach(function (lam, i) { decay.add(new Option(lam, i)); });
  decay.value = 1;

  function add(tag, attributes, title) {
    var e = document.createElementNS(NS, tag);
    Object.keys(attributes).forEach(function (k) { e.setAttribute(k, attributes[k]); });
    if (title) { e.appendChild(document.createElementNS(NS, "title")).textContent = title; }
    svg.appendChild(e);
    return e;
  }
  function text(points) { return points.map(function (p) { return p[0] + "," + (-p[1]); }).join(" "); }
  function scaled(points, by) { return points.map(function (p) { return [p[0] * by, p[1] * by]; }); }
  function arrow(to, name) {
    add("line", { x1: 0, y1: 0, x2: to[0], y2: -to[1], "class": name });
    add("circle", { cx: to[0], cy: -to[1], r: 0.06, "class": name });
  }
  // The selection at the grid's point that is nearest to m, and that point.
  function selection(f) {
    var n = data.points, step = 2 * data.half / (n - 1);
    var at = m.map(function (v) { return Math.min(n - 1, Math.max(0, Math.round((v + data.half) / step))); });
    return { at: at.map(function (i) { return i * step - data.half; }), value: f.selection[at[1] * n + at[0]] };
  }
  function shown(name) { return root.querySelector("[name=" + name + "]").checked; }
  function pair(p) { return "(" + p.map(function (v) { return (Math.abs(v) < 5e-4 ? 0 : v).toFixed(2); }).join(", ") + ")"; }

  function draw() {
    var f = data.functions[pick.value], lam = data.lams[decay.value], s = selection(f);
    while (svg.lastChild) { svg.removeChild(svg.lastChild); }
    for (var i = -2; i <= 2; i += 1) {
      add("line", { x1: i, y1: -view, x2: i, y2: view, "class": i ? "grid" : "axis" });
      add("line", { x1: -view, y1: i, x2: view, y2: i, "class": i ? "grid" : "axis" });
    }
    if (shown("domain") && f.domain) {
      add("polygon", { points: text(scaled(f.domain, 1 / lam)), "class": "domain" }, "dom K* / lam: where the weights end");
    }
    if (shown("ball")) { add("polygon", { points: text(f.ball), "class": "ball" }, "the unit ball of K"); }
    if (shown("path")) {
      var path = f.paths[decay.value], end = path[path.length - 1];
      add("polyline", { points: text(path), "class": "path" }, "the path of Lion-K");
      add("circle", { cx: end[0], cy: -end[1], r: 0.07, "class": "end" }, "its end");
      add("circle", { cx: data.centre[0], cy: -data.centre[1], r: 0.05, "class": "centre" }, "the minimum of f alone");
    }
    arrow(s.at, "m");
    arrow(s.value, "d");
    says.textContent = "K(x) = " + f.formula + ". It imposes: " + f.imposes + ". At m = " + pair(s.at) +
      " the update is dK(m) = " + pair(s.value) + (f.domain ? "." : ". dom K* is the whole plane.");
  }
  function move(event) {
    var box = svg.getBoundingClientRect();
    m = [((event.clientX - box.left) / box.width * 2 - 1) * view, (1 - (event.clientY - box.top) / box.height * 2) * view];
    draw();
  }
  svg.addEventListener("pointerdown", function (e) { svg.setPointerCapture(e.pointerId); move(e); });
  svg.addEventListener("pointermove", function (e) { if (e.buttons) { move(e); } });
  svg.addEventListener("keydown", function (e) {
    var by = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] }[e.key];
    if (by) { m = [m[0] + by[0], m[1] + by[1]]; e.preventDefault(); draw(); }
  });
  root.addEventListener("change", draw);
  draw();
}());
