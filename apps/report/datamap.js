// The data map: one point per sample on a canvas, and its axes as SVG on top.

// Viridis at equal steps. The end that would be invisible against the page is not used.
const VIRIDIS = [[68, 1, 84], [71, 45, 123], [59, 82, 139], [44, 114, 142], [33, 145, 140], [40, 174, 128], [94, 201, 98], [173, 220, 48], [253, 231, 37]];
const darkScheme = window.matchMedia('(prefers-color-scheme: dark)');

function colour(share) {
  const [from, to] = darkScheme.matches ? [0.22, 1] : [0, 0.86];
  const at = (from + share * (to - from)) * (VIRIDIS.length - 1), low = Math.min(VIRIDIS.length - 2, Math.floor(at));
  return VIRIDIS[low].map((part, c) => Math.round(part + (at - low) * (VIRIDIS[low + 1][c] - part)));
}

function decode(base64, Type) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return new Type(bytes.buffer);
}

class DataMap {
  // data: {mean, deviation} as 16-bit shares; describe(sample) is the sentence shown for the nearest point.
  constructor(figure, data, describe) {
    this.mean = decode(data.mean, Uint16Array);
    this.deviation = decode(data.deviation, Uint16Array);
    this.wrong = data.wrong || [];
    this.describe = describe;
    this.widest = this.deviation.reduce((a, b) => Math.max(a, b), 1) / 65535;
    this.width = 900;
    this.height = 540;
    this.box = {left: 50, right: 890, top: 24, bottom: 492};
    this.svg = drawing(this.width, this.height, `Data map of ${this.mean.length} samples; the table below has the means by band of confidence`);
    this.x = scale(0, this.widest, this.box.left + 8, this.box.right - 8);
    this.y = scale(0, 1, this.box.bottom - 8, this.box.top + 8);
    axes(this.svg, this.box, ticks(0, this.widest, 8), ticks(0, 1, 5), this.x, this.y, 'standard deviation of p_y over the epochs', 'mean p_y');
    this.canvas = make('canvas', {'aria-hidden': 'true'});
    this.frame = make('div', {class: 'map-frame'}, this.canvas, this.svg);
    this.tip = make('p', {class: 'tip', 'aria-live': 'off'}, 'Point at a sample to see which it is.');
    this.key = make('canvas', {width: 200, height: 1, 'aria-hidden': 'true'});
    this.figure = figure;
    this.frame.addEventListener('pointermove', (event) => this.point(event));
    darkScheme.addEventListener('change', () => this.draw());
    new ResizeObserver(() => this.draw()).observe(this.frame);
  }

  show(caption, standings, marked, numbers) {
    this.standings = standings;
    this.marked = marked;
    fill(this.figure, caption, this.frame, this.mean.length, numbers,
      make('div', {class: 'scale'}, 'pruned first', this.key, 'kept to the last'));
    this.figure.insertBefore(this.tip, this.figure.lastChild);
    this.draw();
  }

  // The points as pixels, in the order of the samples.
  draw() {
    if (!this.standings) return;
    const palette = Array.from({length: 256}, (_, level) => colour(level / 255));
    const key = this.key.getContext('2d');
    for (let at = 0; at < 200; ++at) {
      key.fillStyle = `rgb(${colour(at / 199).join(' ')})`;
      key.fillRect(at, 0, 1, 1);
    }
    const shown = this.frame.clientWidth || this.width, ratio = (window.devicePixelRatio || 1) * (shown / this.width);
    const [columns, rows] = [Math.round(this.width * ratio), Math.round(this.height * ratio)];
    Object.assign(this.canvas, {width: columns, height: rows});
    Object.assign(this.canvas.style, {width: `${shown}px`, height: `${(shown * this.height) / this.width}px`});
    const context = this.canvas.getContext('2d'), image = context.createImageData(columns, rows);
    const pixels = new Uint32Array(image.data.buffer), size = Math.max(2, Math.round((this.mean.length > 1e4 ? 2 : 4) * ratio));
    const packed = palette.map(([red, green, blue]) => (255 << 24) | (blue << 16) | (green << 8) | red);
    for (let i = 0; i < this.mean.length; ++i) {
      const left = Math.round(this.x(this.deviation[i] / 65535) * ratio - size / 2);
      const top = Math.round(this.y(this.mean[i] / 65535) * ratio - size / 2);
      for (let dy = 0; dy < size; ++dy) pixels.fill(packed[this.standings[i]], (top + dy) * columns + left, (top + dy) * columns + left + size);
    }
    context.putImageData(image, 0, 0);
    if (this.marked) this.ring(context, ratio);
  }

  ring(context, ratio) {
    context.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue('--warm');
    context.lineWidth = ratio;
    for (const i of this.wrong) {
      context.beginPath();
      context.arc(this.x(this.deviation[i] / 65535) * ratio, this.y(this.mean[i] / 65535) * ratio, 4 * ratio, 0, 2 * Math.PI);
      context.stroke();
    }
  }

  point(event) {
    const place = this.frame.getBoundingClientRect(), grow = this.width / place.width;
    const [px, py] = [(event.clientX - place.left) * grow, (event.clientY - place.top) * grow];
    let nearest = -1, least = 12 ** 2;
    for (let i = 0; i < this.mean.length; ++i) {
      const dx = this.x(this.deviation[i] / 65535) - px, dy = this.y(this.mean[i] / 65535) - py;
      if (dx * dx + dy * dy < least) [nearest, least] = [i, dx * dx + dy * dy];
    }
    this.tip.textContent = nearest < 0 ? 'Point at a sample to see which it is.' : this.describe(nearest);
  }
}
