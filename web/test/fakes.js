/**
 * fakes.js - as much of a canvas and of the chart library as primitives ask for, so that what they
 * paint can be read back without a browser.
 */

class FakeContext {
  constructor(canvas) {
    this.canvas = canvas;
    this.puts = []; /* how wide each putImageData was */
  }

  fillRect(x, y, width, height) {
    const [r, g, b] = this.fillStyle.match(/\w\w/g).map((hex) => parseInt(hex, 16));
    for (let at = 0; at < width * height; at++) this.canvas.pixels.set([r, g, b, 255], 4 * at);
  }

  putImageData(image, x, y, dirtyX, dirtyY, width, height) {
    this.puts.push(width);
    for (let row = dirtyY; row < dirtyY + height; row++) {
      for (let column = dirtyX; column < dirtyX + width; column++) {
        const from = 4 * (row * image.width + column);
        const pixel = image.data.subarray(from, from + 4);
        this.canvas.pixels.set(pixel, 4 * ((y + row) * this.canvas.width + x + column));
      }
    }
  }
}

class FakeCanvas {
  #width = 300;
  #height = 150;
  pixels = new Uint8ClampedArray(4 * 300 * 150);
  context = new FakeContext(this);

  get width() {
    return this.#width;
  }

  set width(width) {
    this.#width = width;
    this.pixels = new Uint8ClampedArray(4 * width * this.#height);
  }

  get height() {
    return this.#height;
  }

  set height(height) {
    this.#height = height;
    this.pixels = new Uint8ClampedArray(4 * this.#width * height);
  }

  getContext() {
    return this.context;
  }
}

/** Makes `document` and `ImageData` exist. */
export function fakeDocument() {
  globalThis.document = { createElement: () => new FakeCanvas() };
  globalThis.ImageData = class {
    constructor(width, height) {
      Object.assign(this, { width, height, data: new Uint8ClampedArray(4 * width * height) });
    }
  };
}

/**
 * Axes: column 0 begins at `left`, y is 0 at price `top`.
 * @param {{wide: number, perPrice: number, left: number, top: number}} view CSS pixels per column and price
 */
export function fakeChart(view) {
  return {
    chart: {
      timeScale: () => ({ logicalToCoordinate: (c) => view.left + (c + 0.5) * view.wide }),
      options: () => ({ layout: { fontFamily: 'sans-serif' } }),
    },
    series: {
      priceToCoordinate: (price) => (view.top - price) * view.perPrice,
      priceFormatter: () => ({ format: (price) => price.toFixed(1) }),
    },
    zoomTo: (change) => Object.assign(view, change),
  };
}

/**
 * A pane that remembers the picture last drawn on it, and every call.
 * @param {{width: number, height: number, ratio: number}} size CSS pixels, and device pixels for each
 */
export function fakePane({ width, height, ratio }) {
  const calls = [];
  const context = new Proxy(
    { createLinearGradient: () => ({ addColorStop() {} }) },
    { get: (known, name) => known[name] ?? ((...args) => void calls.push([name, ...args])) },
  );
  const size = (by) => ({ width: width * by, height: height * by });
  const scope = {
    context,
    mediaSize: size(1),
    bitmapSize: size(ratio),
    horizontalPixelRatio: ratio,
    verticalPixelRatio: ratio,
  };
  return {
    calls,
    target: { useBitmapCoordinateSpace: (draw) => draw(scope) },
    /** The colour at a place in CSS pixels, of the nearest pixel of the picture; null outside of it. */
    at(x, y) {
      const drawn = calls.filter(([name]) => name === 'drawImage').at(-1);
      if (!drawn || x < 0 || y < 0 || x >= width || y >= height) return null;
      const [, canvas, sx, sy, sw, sh, dx, dy, dw, dh] = drawn;
      const column = Math.floor(sx + ((Math.floor(x * ratio) + 0.5 - dx) * sw) / dw);
      const line = Math.floor(sy + ((Math.floor(y * ratio) + 0.5 - dy) * sh) / dh);
      const from = 4 * (line * canvas.width + column);
      return [...canvas.pixels.subarray(from, from + 3)];
    },
  };
}
