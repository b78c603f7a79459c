// Fills the page's sections from its data.

const data = JSON.parse(document.getElementById('data').textContent);
const find = (id) => document.getElementById(id);

// A section without data stays hidden. An error in one does not affect the others.
const sections = [];
function section(id, present, draw) {
  if (!present) return;
  find(id).hidden = false;
  sections.push(id);
  try {
    draw();
  } catch (error) {
    find(id).append(make('p', {class: 'warning'}, `This section could not be drawn: ${error.message}`));
    console.error(error);
  }
}

function options(select, names, change) {
  names.forEach((name, index) => select.append(make('option', {value: index}, name)));
  select.addEventListener('change', () => change(Number(select.value)));
  if (names.length) change(0);
}

const scoreNames = data.scores.map((score) => score.name);

function header() {
  find('title').textContent = document.title;
  for (const [name, value] of data.facts) find('facts').append(make('dt', {}, name), make('dd', {}, value));
}

function accuracy() {
  for (const which of ['last', 'best']) {
    const series = data.sweep.methods.map((method) => ({name: method.name, points: method.points.map((point) => ({rate: point.rate, ...point[which]}))}));
    const full = data.sweep.full[which].count ? data.sweep.full[which] : null;
    accuracyChart(find(`accuracy-${which}`), which === 'last' ? 'Accuracy of the last epoch' : 'Best accuracy over the epochs', series, full);
  }
  const {trainings} = data.sweep;
  find('accuracy').append(table(['training', 'samples', 'batch', 'steps'], trainings.map((one) => [one.rate ? `rate ${one.rate}` : 'all samples', one.kept, one.batch, one.steps]), 'Samples, batch size and steps of each training'),
    ...trainings.filter((one) => one.warning).map((one) => make('p', {class: 'warning'}, `Rate ${one.rate}: ${one.warning}.`)));
}

function histograms() {
  find('histogram-wrong').hidden = !data.scores.some((score) => score.histogram.wrong);
  for (const score of data.scores) {
    const figure = make('figure', {id: `histogram-${score.name}`});
    find('histogram-grid').append(figure);
    histogramChart(figure, score.name, score.setting, score.histogram);
  }
}

function dataMap() {
  const standings = data.scores.map((score) => decode(score.standings, Uint8Array));
  const labels = data.map.labels ? decode(data.map.labels, Uint16Array) : null, wrong = new Set(data.map.wrong || []);
  let shown = 0;
  const map = new DataMap(find('data-map'), data.map, (i) => {
    const label = labels ? `, ${data.classes.names[labels[i]]}${wrong.has(i) ? ' (a wrong label)' : ''}` : '';
    return `Sample ${i}${label}: mean p_y ${(map.mean[i] / 65535).toFixed(3)}, deviation ${(map.deviation[i] / 65535).toFixed(3)}, standing by ${scoreNames[shown]} ${percent(standings[shown][i] / 255)}`;
  });
  const rows = data.map.bands.map((band) => [`${band.low.toFixed(1)} to ${band.high.toFixed(1)}`, band.samples, ...(band.samples ? [band.deviation.toFixed(3), ...band.standings.map((share) => percent(share))] : ['', ...scoreNames.map(() => '')])]);
  const numbers = () => table(['mean p_y', 'samples', 'mean deviation', ...scoreNames.map((name) => `standing by ${name}`)], rows, 'Means of the samples in bands of confidence');
  const draw = () => map.show(`Coloured by the standing by ${scoreNames[shown]}`, standings[shown], find('map-wrong').checked, numbers());
  find('map-wrong-label').hidden = wrong.size === 0;
  find('map-wrong').addEventListener('change', draw);
  options(find('map-score'), scoreNames, (index) => {
    shown = index;
    draw();
  });
}

function sparkline(tile) {
  const {epochs} = data.tiles, values = trajectories.subarray(tile * epochs, (tile + 1) * epochs);
  const points = Array.from(values, (value, e) => `${e ? 'L' : 'M'}${round((e * 100) / Math.max(1, epochs - 1))} ${round(20 - (value / 255) * 18 - 1)}`);
  if (epochs === 1) points.push('h100');
  return make('svg', {class: 'spark', viewBox: '0 0 100 20', preserveAspectRatio: 'none', role: 'img',
    'aria-label': `p_y from ${(values[0] / 255).toFixed(2)} to ${(values[epochs - 1] / 255).toFixed(2)}`},
  make('line', {x1: 0, x2: 100, y1: 19, y2: 19}), make('path', {d: points.join('')}));
}
const trajectories = data.tiles.trajectories ? decode(data.tiles.trajectories, Uint8Array) : null;

function thumb(tile, label) {
  const {columns, rows, width, height} = data.sprite, grow = Math.max(1, Math.floor(100 / Math.max(width, height)));
  const spot = make('span', {class: 'thumb', role: 'img', 'aria-label': `image of sample ${data.tiles.ids[tile]}${label ? `, labelled ${label}` : ''}`});
  Object.assign(spot.style, {width: `${width * grow}px`, height: `${height * grow}px`, backgroundSize: `${columns * width * grow}px ${rows * height * grow}px`,
    backgroundPosition: `${-(tile % columns) * width * grow}px ${-Math.floor(tile / columns) * height * grow}px`});
  return spot;
}

function card(tile, sheet) {
  const {tiles} = data, label = tiles.labels[tile] ?? '', wrong = tiles.wrong && tiles.wrong[tile];
  const value = sheet.score < 0 ? `mean p_y ${short(tiles.mean[tile])}` : `score ${short(tiles.scores[sheet.score][tile])}`;
  const words = [`sample ${tiles.ids[tile]}`, ...(tiles.files ? [tiles.files[tile]] : []), ...(tiles.mean ? [`mean p_y ${tiles.mean[tile]}`] : []),
    ...data.scores.map((score, s) => `${score.name} ${short(tiles.scores[s][tile])} (standing ${percent(tiles.standings[s][tile])})`)];
  const item = make('li', {title: words.join('\n'), ...(wrong ? {class: 'wrong'} : {})}, data.sprite ? thumb(tile, label) : null,
    make('span', {class: 'name'}, label || `sample ${tiles.ids[tile]}`));
  if (wrong) item.append(make('span', {class: 'truth'}, `really ${tiles.true[tile]}`));
  if (tiles.corruption && tiles.corruption[tile]) item.append(make('span', {class: 'truth'}, tiles.corruption[tile].replace('_', ' ')));
  if (trajectories) item.append(sparkline(tile));
  item.append(make('span', {class: 'value'}, value));
  if (sheet.group === 'most disputed') {
    const shares = data.scores.map((score, s) => [tiles.standings[s][tile], score]).filter(([, score]) => !score.variant).map(([share, score]) => [share, score.name]).sort((a, b) => b[0] - a[0]);
    const [high, low] = [shares[0], shares[shares.length - 1]];
    item.lastChild.textContent = `${percent(high[0])} ${high[1]}`;
    item.append(make('span', {class: 'value'}, `${percent(low[0])} ${low[1]}`));
  }
  item.append(make('span', {class: 'value'}, `#${tiles.ids[tile]}`));
  return item;
}

function contactSheet(sheet) {
  const list = make('ul', {class: 'sheet', 'aria-label': sheet.title}, ...sheet.tiles.map((tile) => card(tile, sheet)));
  list.dataset.drawn = sheet.tiles.length;
  return list;
}

// Sheets of one method are shown together. The first group and the disputed ones are open.
function sheetGroups(name, place) {
  const sheets = data.sheets.filter((sheet) => sheet.section === name);
  const groups = [...new Set(sheets.map((sheet) => sheet.group))];
  groups.forEach((group, index) => {
    const content = sheets.filter((sheet) => sheet.group === group).flatMap((sheet) => [make('h3', {}, `${group}: ${sheet.title}`),
      sheet.note ? make('p', {}, sheet.note) : null, contactSheet(sheet)].filter(Boolean));
    const open = name === 'suspects' || index === 0 || group === 'most disputed';
    place.append(open ? make('div', {}, ...content) : make('details', {}, make('summary', {}, `${group}: highest and lowest scores`), ...content));
  });
}

function images() {
  if (data.no_images) find('images-note').prepend(`No images: ${data.no_images}. `);
  sheetGroups('images', find('images-sheets'));
}

function balance() {
  find('balance-rate').textContent = data.rate;
  options(find('balance-score'), scoreNames, (index) => {
    const score = data.scores[index];
    balanceChart(find('class-balance'), `Classes at a pruning rate of ${data.rate}, kept by ${score.name}`, data.classes.names, data.classes.counts, score.kept_by_class);
  });
}

// How many planted samples are at the ends of each order: in this run, and over the seeds of the sweep.
function plantedTables(place, found, measured, what, caption) {
  if (found) {
    const rows = found.methods.map((method) => [method.name, percent(method.low, 1), percent(method.high, 1)]);
    place.append(make('p', {}, `In this data set ${found.planted} ${what} were planted, so the methods can be compared: the table shows how many of an equal number of samples from either end of each order are among them. Precision and recall are then equal; by chance both are ${percent(found.planted / found.samples, 1)}.`),
      table(['method', 'among the lowest scores (pruned)', 'among the highest (kept)'], rows, `Share of samples with ${caption}`));
  }
  if (measured) {
    const value = (one) => `${meanText(one, 1, 100)} %`;
    place.append(table(['method', 'end', 'precision', 'recall', 'seeds'], measured.map((one) => [one.method, one.end, value(one.precision), value(one.recall), one.precision.count]), `${what[0].toUpperCase()}${what.slice(1)} found, over the seeds of the sweep`));
  }
}

function suspects() {
  const place = find('suspects-found'), sweep = data.sweep || {};
  plantedTables(place, data.found, sweep.wrong_labels, 'wrong labels', 'a wrong label');
  plantedTables(place, data.found_corrupted, sweep.corrupted, 'corrupted images', 'a corrupted image');
  plantedTables(place, data.found_duplicates, sweep.near_duplicates, 'near-duplicates', 'a near-duplicate of another');
  sheetGroups('suspects', find('suspects-sheets'));
  for (const sheet of data.sheets.filter((one) => one.section === 'suspects')) {
    find('suspects-sheets').append(make('details', {}, make('summary', {}, `Ids by ${sheet.title}, the most suspicious first`), make('p', {}, sheet.tiles.map((tile) => data.tiles.ids[tile]).join(' '))));
  }
}

function definitions() {
  find('definitions-table').append(table(['method', 'setting', 'score', 'kept', 'source'], data.scores.map((score) => [score.name, score.setting, score.formula, score.kept, score.source]), 'Every score is oriented so that its highest values are kept', true));
  if (data.left_out.length) find('left-out').append(make('h3', {}, 'Left out'), make('ul', {}, ...data.left_out.map((reason) => make('li', {}, reason))));
}

header();
section('accuracy', data.sweep, accuracy);
section('histograms', data.scores.length, histograms);
section('methods', data.method_correlations, () => heatMap(find('method-correlations'), 'Rank correlation of the methods', data.method_correlations.names, data.method_correlations.values));
section('settings', data.setting_correlations, () => heatMap(find('setting-correlations'), 'Rank correlation of TDDS settings', data.setting_correlations.names, data.setting_correlations.values));
section('map', data.map && data.scores.length, dataMap);
section('images', data.sheets.length, images);
section('balance', data.classes && data.scores.length, balance);
section('suspects', data.sheets.some((sheet) => sheet.section === 'suspects'), suspects);
section('definitions', data.scores.length, definitions);
for (const id of sections) find('contents').append(make('li', {}, make('a', {href: `#${id}`}, find(id).querySelector('h2').textContent)));
document.documentElement.dataset.sections = sections.join(' ');
