// Charts that answer to pointer and keyboard. Each view has an address that the server draws; this only asks for the next one.
(function () {
  var SVG = "http://www.w3.org/2000/svg";
  var utc = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZone: "UTC" });
  var own = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", timeZoneName: "short" });
  var asked = 0;

  // show puts the main part of another address into this page.
  function show(address, remember) {
    var turn = ++asked, main = document.getElementById("main"), focused = document.activeElement;
    var where = focused && focused.closest(".figure") ? ".figure" : focused && focused.dataset.does ? '[data-does="' + focused.dataset.does + '"]' : main.contains(focused) ? ".figure" : "";
    main.setAttribute("aria-busy", "true");
    return fetch(address, { headers: { Accept: "text/html" } }).then(function (answer) {
      if (!answer.ok) throw new Error(answer.status);
      return answer.text().then(function (text) {
        if (turn !== asked) return; // a later view is on its way
        var page = new DOMParser().parseFromString(text, "text/html"), next = page.getElementById("main");
        var open = Array.prototype.map.call(main.querySelectorAll("details"), function (d) { return d.open; });
        main.replaceWith(next);
        next.querySelectorAll("details").forEach(function (d, i) { d.open = !!open[i]; });
        document.title = page.title;
        if (remember) history.pushState(null, "", answer.url);
        document.dispatchEvent(new CustomEvent("outcry:shown"));
        var said = document.querySelector("[data-said]"), words = next.querySelector(".figure desc");
        if (said && remember) said.textContent = words ? words.textContent : page.title;
        if (where) (next.querySelector(where) || next.querySelector(".figure") || next).focus({ preventScroll: true });
      });
    }).catch(function () { if (turn === asked) location.href = address; });
  }
  addEventListener("popstate", function () { if (document.querySelector("[data-panel]")) show(location.href, false); });

  function go(panel, does) {
    var link = panel.querySelector('[data-does="' + does + '"]');
    if (link) show(link.href, true);
    return !!link;
  }

  function between(panel, from, to) {
    var address = new URL(location.href), form = panel.querySelector("form");
    if (form) address.pathname = form.getAttribute("action");
    address.searchParams.set("from", new Date(from * 1000).toISOString().slice(0, 16) + "Z");
    address.searchParams.set("to", new Date(to * 1000).toISOString().slice(0, 16) + "Z");
    address.searchParams.delete("step");
    address.hash = "";
    show(address.href, true);
  }

  // axes of the chart that is seen: a figure has a wide and a narrow one.
  function axes(figure) {
    var svg = Array.prototype.find.call(figure.querySelectorAll("svg[data-plot]"), function (s) { return s.getBoundingClientRect().width > 0; });
    if (!svg) return null;
    var p = svg.dataset.plot.split(" ").map(Number), box = svg.getBoundingClientRect(), scale = box.width / svg.viewBox.baseVal.width;
    return { svg: svg, left: p[0], top: p[1], right: p[2], bottom: p[3], box: box, scale: scale,
      from: +svg.dataset.from, to: +svg.dataset.to, step: +svg.dataset.step, most: +svg.dataset.most };
  }
  function timeAt(a, clientX) {
    var x = (clientX - a.box.left) / a.scale;
    return a.from + Math.min(1, Math.max(0, (x - a.left) / (a.right - a.left))) * (a.to - a.from);
  }
  function xOf(a, time) { return a.left + (time - a.from) / (a.to - a.from) * (a.right - a.left); }
  function mark(a, name, attributes) {
    var e = a.svg.querySelector(".over-" + name);
    if (!e) {
      e = document.createElementNS(SVG, attributes.width === undefined ? "line" : "rect");
      e.setAttribute("class", "over over-" + name);
      a.svg.appendChild(e);
    }
    for (var k in attributes) e.setAttribute(k, attributes[k]);
  }
  function unmark(figure) {
    figure.querySelectorAll(".over").forEach(function (e) { e.remove(); });
    var said = figure.querySelector(".readout");
    if (said) said.hidden = true;
  }

  function number(v) { return v === null || v === undefined ? "not known" : v.toLocaleString("en"); }
  function readout(figure, a, clientX) {
    var n = figure.numbers || (figure.numbers = JSON.parse(figure.dataset.numbers));
    var i = Math.floor((timeAt(a, clientX) - a.from) / a.step), count = n.values[0] ? n.values[0].length : 0;
    if (i < 0 || i >= count) i = Math.min(Math.max(i, 0), count - 1);
    if (i < 0) return;
    var start = a.from + i * a.step, x = xOf(a, start + a.step / 2);
    mark(a, "hair", { x1: x, x2: x, y1: a.top, y2: a.bottom });
    var said = figure.querySelector(".readout");
    if (!said) {
      said = document.createElement("div");
      said.className = "readout";
      said.setAttribute("aria-hidden", "true");
      figure.appendChild(said);
    }
    said.textContent = "";
    function line(tag, text, kind) {
      var e = document.createElement(tag);
      e.textContent = text;
      if (kind) e.className = kind;
      said.appendChild(e);
    }
    var at = new Date(start * 1000), here = own.format(at), there = utc.format(at) + " UTC";
    line("b", there);
    if (!/UTC$/.test(here)) line("span", here, "soft");
    n.names.map(function (name, k) { return [name, n.values[k] && n.values[k][i], k]; }).sort(function (x, y) { return n.bands ? 0 : (y[1] || 0) - (x[1] || 0); })
      .forEach(function (v) { line("span", (n.bands ? "" : v[0] + ": ") + number(v[1]) + (n.bands ? (v[1] === 1 ? " person" : v[1] === null ? "" : " people") : ""), n.bands ? "" : "key");
        var drawn = !n.bands && a.svg.querySelector(".chart-line-" + (v[2] % 8 + 1));
        if (drawn) said.lastChild.style.setProperty("--key", getComputedStyle(drawn).stroke); });
    if (n.bands && n.bands[i]) line("span", "expected " + n.bands[i][0] + " to " + n.bands[i][1], "soft");
    said.hidden = false;
    var room = figure.getBoundingClientRect(), left = a.box.left - room.left + x * a.scale;
    said.style.left = Math.max(0, left + 12 + said.offsetWidth > room.width ? left - 12 - said.offsetWidth : left + 12) + "px";
    said.style.top = a.box.top - room.top + a.top * a.scale + 4 + "px";
  }

  var drag = null;
  document.addEventListener("pointerdown", function (e) {
    var figure = e.target.closest && e.target.closest(".figure"), a = figure && axes(figure);
    if (!a || e.button !== 0 || e.pointerType === "touch" || !figure.closest("[data-panel]") || !a.svg.contains(e.target)) return;
    drag = { figure: figure, from: e.clientX };
    e.preventDefault();
    figure.focus({ preventScroll: true });
  });
  document.addEventListener("pointermove", function (e) {
    var figure = drag ? drag.figure : e.target.closest && e.target.closest(".figure"), a = figure && axes(figure);
    if (!a) return;
    readout(figure, a, e.clientX);
    if (drag) {
      var x = [timeAt(a, drag.from), timeAt(a, e.clientX)].map(function (t) { return xOf(a, t); }).sort(function (p, q) { return p - q; });
      mark(a, "chosen", { x: x[0], width: x[1] - x[0], y: a.top, height: a.bottom - a.top });
    }
  });
  document.addEventListener("pointerup", function (e) {
    if (!drag) return;
    var d = drag, a = axes(d.figure);
    drag = null;
    unmark(d.figure);
    if (!a || Math.abs(e.clientX - d.from) < 8) return;
    var t = [timeAt(a, d.from), timeAt(a, e.clientX)].sort(function (p, q) { return p - q; });
    var from = Math.floor(t[0] / a.step) * a.step, to = Math.ceil(t[1] / a.step) * a.step;
    if (to - from < 600) { from -= (600 - (to - from)) / 2; to = from + 600; }
    between(d.figure.closest("[data-panel]"), Math.floor(from / 60) * 60, Math.ceil(to / 60) * 60);
  });
  document.addEventListener("pointerout", function (e) {
    var figure = e.target.closest && e.target.closest(".figure");
    if (figure && !drag && !figure.contains(e.relatedTarget)) unmark(figure);
  });
  document.addEventListener("dblclick", function (e) {
    var panel = e.target.closest && e.target.closest(".figure") && e.target.closest("[data-panel]");
    if (panel) go(panel, "out");
  });
  document.addEventListener("keydown", function (e) {
    if (e.key === "Escape" && drag) { unmark(drag.figure); drag = null; return; }
    var panel = e.target.closest && e.target.closest(".figure") && e.target.closest("[data-panel]");
    if (!panel || e.ctrlKey || e.metaKey || e.altKey) return;
    var does = { ArrowLeft: "earlier", ArrowRight: "later", "+": "in", "=": "in", "-": "out", "_": "out" }[e.key];
    if (does) { go(panel, does); e.preventDefault(); }
  });
  document.addEventListener("click", function (e) {
    var link = e.target.closest && e.target.closest("[data-panel] .ranges a, [data-panel] .remove, .suggest a");
    if (!link || !document.querySelector("[data-panel] .figure") || e.ctrlKey || e.metaKey || e.shiftKey || e.button) return;
    e.preventDefault();
    show(link.href, true);
  });
  document.addEventListener("submit", function (e) {
    var form = e.target.closest("[data-panel] form");
    if (!form) return;
    e.preventDefault();
    show(form.action + "?" + new URLSearchParams(new FormData(form)), true);
  });

  // A chart that ends where the data do moves on with them, while nobody is busy with it.
  var live = document.querySelector("[data-live]"), heard = 0, later;
  if (live && window.EventSource) {
    var followed = location.href, source = new EventSource(live.dataset.live);
    source.addEventListener("points", function () {
      if (heard++ === 0 || later) return;
      later = setTimeout(function () {
        later = 0;
        if (location.href !== followed) { source.close(); return; }
        if (!document.hidden && !drag && !document.querySelector(".readout:not([hidden])") && !(document.activeElement && document.activeElement.closest("form"))) show(followed, false);
      }, 5000);
    });
  }

  // Names of services while they are typed.
  var typing;
  document.addEventListener("input", function (e) {
    var field = e.target;
    if (!field.matches("[data-suggest]")) return;
    clearTimeout(typing);
    typing = setTimeout(function () {
      if (field.value.trim().length < 2) return;
      fetch("/v1/search?limit=10&q=" + encodeURIComponent(field.value.trim())).then(function (a) { return a.json(); }).then(function (found) {
        var list = document.getElementById("names") || document.body.appendChild(document.createElement("datalist"));
        list.id = "names";
        field.setAttribute("list", "names");
        list.textContent = "";
        (found.services || []).forEach(function (s) { list.appendChild(document.createElement("option")).value = s.name; });
      }).catch(function () {}); // one can type the name
    }, 150);
  });
})();
