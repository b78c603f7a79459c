'use strict';
// Charts as SVG (the data map: a canvas). Each takes a figure and numbers that are ready to be drawn, sets
// `data-drawn` on the figure to the number of marks it drew, and adds the numbers as a table.

const SVG = 'http://www.w3.org/2000/svg';

function make(name, attributes = {}, ...children) {
  const svgNames = ['svg', 'g', 'path', 'line', 'rect', 'circle', 'text', 'title', 'polygon'];
  const element = svgNames.includes(name) ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}

const percent = (share, digits = 0) => `${(100 * share).toFixed(digits)} %`;
const short = (value) => (Math.abs(value) >= 1e4 || (value !== 0 && Math.abs(value) < 1e-3)
  ? value.toExponential(1) : String(Number(value.toPrecision(3))));
const round = (value) => Number(value.toFixed(2));

// About `count` values with a round step that cover low .. high.
function ticks(low, high, count) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999);
  const values = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; ++k) values.push(Number((k * step).toPrecision(12)));
  return values;
}

function scale(low, high, from, to) {
  const span = high - low || 1;
  return (value) => round(from + ((value - low) / span) * (to - from));
}

function table(head, rows, caption, words = false) {
  const body = make('tbody');
  for (const row of rows) {
    const [first, ...rest] = row;
    body.append(make('tr', {}, make('th', {scope: 'row'}, String(first)), ...rest.map((cell) => make('td', {}, String(cell)))));
  }
  return make('div', {class: 'scroll'}, make('table', words ? {class: 'words'} : {},
    make('caption', {class: 'tip'}, caption),
    make('thead', {}, make('tr', {}, ...head.map((cell) => make('th', {scope: 'col'}, cell)))), body));
}

// Fills the figure of a chart: caption, drawing, and its numbers in a collapsed table.
function fill(figure, caption, drawing, marks, numbers, legend = null) {
  figure.replaceChildren(make('figcaption', {}, caption), drawing);
  if (legend) figure.append(legend);
  if (numbers) figure.append(make('details', {}, make('summary', {}, 'The same as a table'), numbers));
  figure.dataset.drawn = marks;
}

function drawing(width, height, label) {
  return make('svg', {viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': label});
}

function text(x, y, content, attributes = {}) {
  return make('text', {x, y, ...attributes}, String(content));
}

// Axes with grid lines; box is {left, right, top, bottom}.
function axes(svg, box, xTicks, yTicks, x, y, xName, yName, label = short) {
  for (const tick of yTicks) {
    svg.append(make('line', {class: 'gridline', x1: box.left, x2: box.right, y1: y(tick), y2: y(tick)}),
      text(box.left - 6, y(tick) + 4, label(tick), {'text-anchor': 'end'}));
  }
  for (const tick of xTicks) svg.append(text(x(tick), box.bottom + 16, short(tick), {'text-anchor': 'middle'}));
  svg.append(make('line', {class: 'axis', x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom}));
  if (xName) svg.append(text((box.left + box.right) / 2, box.bottom + 33, xName, {'text-anchor': 'middle'}));
  if (yName) svg.append(text(box.left, box.top - 8, yName, {'text-anchor': 'start'}));
}

// Eight colours, combined with shapes and dashes, so that no series is identified by its colour alone.
const DASHES = ['', '7 3', '2 3', '9 3 2 3'];
function marker(index, x, y, size = 4) {
  const at = (points) => make('polygon', {points: points.map(([dx, dy]) => `${round(x + dx * size)},${round(y + dy * size)}`).join(' ')});
  const shapes = [
    () => make('circle', {cx: x, cy: y, r: size}),
    () => at([[-1, -1], [1, -1], [1, 1], [-1, 1]]),
    () => at([[0, -1.3], [1.2, 1], [-1.2, 1]]),
    () => at([[0, -1.4], [1.4, 0], [0, 1.4], [-1.4, 0]]),
    () => at([[0, 1.3], [1.2, -1], [-1.2, -1]]),
    () => at([[-0.4, -1.2], [0.4, -1.2], [0.4, -0.4], [1.2, -0.4], [1.2, 0.4], [0.4, 0.4], [0.4, 1.2], [-0.4, 1.2], [-0.4, 0.4], [-1.2, 0.4], [-1.2, -0.4], [-0.4, -0.4]]),
  ];
  const shape = shapes[index % shapes.length]();
  shape.setAttribute('fill', `var(--s${index % 8})`);
  return shape;
}

const strokeOf = (index) => ({stroke: `var(--s${index % 8})`, 'stroke-width': 2, 'stroke-dasharray': DASHES[Math.floor(index / 2) % DASHES.length], fill: 'none'});

// "28.75", or "28.75 ± 0.31" for several runs.
const meanText = (one, digits = 2, factor = 1) => (factor * one.mean).toFixed(digits) + (one.count > 1 ? ` ± ${(factor * one.deviation).toFixed(digits)}` : '');
const seedsText = (count) => (count > 1 ? `${count} seeds` : 'one seed');

// series: [{name, points: [{rate, mean, deviation, count}]}]; full: {mean, deviation, count} or null.
function accuracyChart(figure, caption, series, full) {
  const width = 560, height = 380, box = {left: 46, right: 548, top: 26, bottom: 330};
  const all = series.flatMap((one) => one.points);
  const edges = all.flatMap((point) => [point.mean - point.deviation, point.mean + point.deviation]);
  if (full) edges.push(full.mean);
  const [low, high] = [Math.min(...edges), Math.max(...edges)], room = Math.max(1, 0.06 * (high - low));
  const rates = [...new Set(all.map((point) => point.rate))].sort((a, b) => a - b);
  const x = scale(Math.min(...rates) - 0.04, Math.max(...rates) + 0.04, box.left, box.right);
  const y = scale(Math.max(0, low - room), Math.min(100, high + room), box.bottom, box.top);
  const svg = drawing(width, height, `${caption}: lines of ${series.map((one) => one.name).join(', ')}; the table below has the numbers`);
  axes(svg, box, rates, ticks(Math.max(0, low - room), Math.min(100, high + room), 6), x, y, 'pruning rate (share left out)', 'test accuracy, %');
  if (full) {
    svg.append(make('line', {x1: box.left, x2: box.right, y1: y(full.mean), y2: y(full.mean), stroke: 'var(--muted)', 'stroke-dasharray': '4 4'}),
      text(box.left + 6, y(full.mean) - 5, `all samples: ${full.mean.toFixed(2)} %`));
  }
  const legend = make('ul', {class: 'legend'});
  series.forEach((one, index) => {
    // Methods are drawn side by side at each rate, so that their bars do not overlap.
    const place = (point) => round(x(point.rate) + (index - (series.length - 1) / 2) * Math.min(5, 40 / series.length));
    const path = one.points.map((point, at) => `${at ? 'L' : 'M'}${place(point)} ${y(point.mean)}`).join('');
    const group = make('g', {}, make('path', {d: path, ...strokeOf(index)}));
    for (const point of one.points) {
      const words = `${one.name}, rate ${point.rate}: ${meanText(point)} % (${seedsText(point.count)})`;
      if (point.deviation > 0) {
        const [up, down, at] = [y(point.mean + point.deviation), y(point.mean - point.deviation), place(point)];
        group.append(make('path', {class: 'bar', d: `M${at} ${up}V${down}M${at - 3} ${up}h6M${at - 3} ${down}h6`, ...strokeOf(index), 'stroke-width': 1.3, 'stroke-dasharray': ''}));
      }
      const mark = marker(index, place(point), y(point.mean));
      mark.append(make('title', {}, words));
      group.append(mark);
    }
    svg.append(group);
    const key = make('svg', {viewBox: '0 0 34 14', 'aria-hidden': 'true'}, make('path', {d: 'M0 7h34', ...strokeOf(index)}), marker(index, 17, 7));
    legend.append(make('li', {}, key, one.name));
  });
  const cell = (point) => (point ? `${meanText(point)} (${point.count})` : '');
  const rows = series.map((one) => [one.name, ...rates.map((rate) => cell(one.points.find((point) => point.rate === rate)))]);
  if (full) rows.unshift(['all samples', cell(full), ...rates.slice(1).map(() => '')]);
  fill(figure, caption, svg, all.length, table(['method', ...rates.map((rate) => `rate ${rate}`)], rows, 'Percent: mean and, for several seeds, ± standard deviation (number of seeds)'), legend);
}

// Counts are on a logarithmic axis, so that a few outliers stay visible. histogram.wrong: those with a wrong
// label, or null.
function histogramChart(figure, caption, setting, histogram) {
  const width = 300, height = 170, box = {left: 42, right: 294, top: 12, bottom: 130};
  const {low, high, counts, wrong} = histogram;
  const most = Math.max(...counts), power = Math.max(1, Math.ceil(Math.log10(most)));
  const height_of = (count) => (count > 0 ? (Math.log10(count) + 0.3) / (power + 0.3) : 0);
  const y = (count) => round(box.bottom - height_of(count) * (box.bottom - box.top));
  const x = scale(0, counts.length, box.left, box.right), value = scale(low, high, box.left, box.right);
  const svg = drawing(width, height, `Histogram of ${caption}: ${counts.reduce((a, b) => a + b, 0)} samples from ${short(low)} to ${short(high)}; the table below has the counts`);
  const decades = Array.from({length: power + 1}, (_, k) => 10 ** k);
  axes(svg, box, ticks(low, high, 4), decades, value, y, setting, null, (count) => (count >= 1e4 ? `${count / 1e3}k` : String(count)));
  let bars = 0;
  counts.forEach((count, bin) => {
    if (!count) return;
    const side = {x: x(bin) + 0.4, width: round(x(bin + 1) - x(bin) - 0.8)};
    const edge = (at) => short(low + (at * (high - low)) / counts.length);
    const words = `${edge(bin)} to ${edge(bin + 1)}: ${count} samples${wrong ? `, ${wrong[bin]} with a wrong label` : ''}`;
    svg.append(make('rect', {...side, y: y(count), height: round(box.bottom - y(count)), fill: 'var(--bar)'}, make('title', {}, words)));
    if (wrong && wrong[bin]) svg.append(make('rect', {...side, y: y(wrong[bin]), height: round(box.bottom - y(wrong[bin])), fill: 'var(--wrong)'}, make('title', {}, words)));
    ++bars;
  });
  const rows = counts.map((count, bin) => [`${short(low + (bin * (high - low)) / counts.length)} to ${short(low + ((bin + 1) * (high - low)) / counts.length)}`, count, ...(wrong ? [wrong[bin]] : [])]).filter((row) => row[1] > 0);
  fill(figure, caption, svg, bars, table(['score', 'samples', ...(wrong ? ['wrong label'] : [])], rows, 'Bins with samples'));
}

// A symmetric table of correlations as coloured cells with their number.
function heatMap(figure, caption, names, values) {
  const n = names.length, cell = n > 16 ? 36 : n > 10 ? 44 : 52, left = 108, top = 96;
  const width = left + n * cell + 56, height = top + n * cell + 6;
  const svg = drawing(width, height, `${caption}, ${n} by ${n}; the table below has the numbers`);
  svg.style.maxWidth = `${width}px`;
  names.forEach((name, i) => {
    svg.append(text(left - 8, top + i * cell + cell / 2 + 4, name, {'text-anchor': 'end', class: 'ink'}));
    const [x, y] = [left + i * cell + cell / 2 + 4, top - 8];
    svg.append(text(x, y, name, {transform: `rotate(-50 ${x} ${y})`, class: 'ink'}));
    names.forEach((other, j) => {
      const value = values[i][j], strength = Math.min(1, Math.abs(value));
      const spot = {x: left + j * cell + 1, y: top + i * cell + 1, width: cell - 2, height: cell - 2, rx: 3};
      svg.append(make('rect', {...spot, fill: value < 0 ? 'var(--warm)' : 'var(--accent)', 'fill-opacity': round(0.04 + 0.96 * strength ** 1.5)}, make('title', {}, `${name} and ${other}: ${value.toFixed(3)}`)));
      svg.append(text(spot.x + cell / 2 - 1, spot.y + cell / 2 + 3, value.toFixed(2).replace('0.', '.').replace('-', '−'), {'text-anchor': 'middle', class: strength > 0.68 ? 'strong' : 'ink', 'pointer-events': 'none'}));
    });
  });
  const rows = names.map((name, i) => [name, ...values[i].map((value) => value.toFixed(3))]);
  fill(figure, caption, make('div', {class: 'scroll'}, svg), n * n, table(['', ...names], rows, "Spearman's rank correlation"));
}

function balanceChart(figure, caption, names, counts, kept) {
  const n = names.length, width = 1100, height = 320, box = {left: 52, right: 1092, top: 20, bottom: n <= 30 ? 230 : 270};
  const y = scale(0, Math.max(...counts, 1), box.bottom, box.top), x = scale(0, n, box.left, box.right);
  const svg = drawing(width, height, `${caption}: ${n} classes; the table below has the counts`);
  axes(svg, box, [], ticks(0, Math.max(...counts, 1), 5), x, y, n > 30 ? 'class number' : null, 'samples');
  names.forEach((name, c) => {
    const bar = {x: round(x(c) + 0.12 * (x(1) - x(0))), width: round(0.76 * (x(1) - x(0)))};
    const words = `${name}: ${kept[c]} of ${counts[c]} kept (${percent(kept[c] / Math.max(1, counts[c]))})`;
    svg.append(make('rect', {...bar, y: y(kept[c]), height: round(box.bottom - y(kept[c])), fill: 'var(--bar)'}),
      make('rect', {...bar, y: y(counts[c]), height: round(box.bottom - y(counts[c])), fill: 'transparent', stroke: 'var(--muted)', 'stroke-width': n > 100 ? 0.3 : 1}, make('title', {}, words)));
    const [tx, ty] = [round(bar.x + bar.width / 2), box.bottom + 16];
    if (n <= 30) {
      svg.append(text(tx + 3, ty, name, {'text-anchor': 'end', transform: `rotate(-35 ${tx + 3} ${ty})`, class: 'ink'}),
        text(tx, y(kept[c]) - 4, percent(kept[c] / Math.max(1, counts[c])), {'text-anchor': 'middle', class: 'ink'}));
    } else if (c % Math.ceil(n / 20) === 0) svg.append(text(tx, ty, c, {'text-anchor': 'middle'}));
  });
  const rows = names.map((name, c) => [name, counts[c], kept[c], percent(kept[c] / Math.max(1, counts[c]), 1)]);
  fill(figure, caption, svg, n, table(['class', 'samples', 'kept', 'share'], rows, 'Before and after pruning'));
}
