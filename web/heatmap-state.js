/**
 * heatmap-state.js - the state of one symbol, kept up to date from what the server sends.
 *
 * Messages come whole (`snapshot`) or as what changed (`delta`), with levels as objects or as
 * columns; what is handed out is always the whole, as a snapshot message of levels. A state is never
 * changed: a message makes a new one. Pure: knows neither socket nor time.
 */

/**
 * @typedef {{price: number, long_density: number, short_density: number}} Level
 * @typedef {{prices: number[], long: number[], short: number[]}} Columns on the wire: of `prices` the
 *   first is a price and each other the step to it in buckets; in a State: prices, ascending
 * @typedef {{type: 'snapshot', symbol: string, timestamp: string, seq?: number, epoch?: string,
 *   resumed?: boolean, data: {levels: Level[], current_price: number, price_bin_size?: number,
 *   positions_created?: number, positions_consumed?: number}}} Snapshot the whole state of a symbol;
 *   `resumed` is only ever false: what was derived from earlier ones has a gap
 * @typedef {{message: any, columns: Columns}} State message: what it came from
 */

/**
 * The state after a message, or null where a delta does not belong to the state.
 * Throws where the levels of a message cannot be read.
 * @param {State | null} state
 * @param {any} message snapshot or delta
 * @returns {State | null}
 */
export function advance(state, message) {
  const columns = columnsOf(message.data);
  if (message.type !== 'delta') return { message, columns };
  if (!state || state.message.epoch !== message.epoch || state.message.seq !== message.prev) return null;
  return { message, columns: merge(state.columns, columns) };
}

/**
 * Nothing in it is shared with the state or with other snapshots.
 * @param {State} state
 * @returns {Snapshot}
 */
export function snapshotOf({ message, columns: { prices, long, short } }) {
  const levels = prices.map((price, i) => ({ price, long_density: long[i], short_density: short[i] }));
  const { prev, ...rest } = message;
  return { ...rest, type: 'snapshot', data: { ...message.data, levels } };
}

/**
 * Does this whole state tell anything to who has the former one? A poll may have been overtaken; a
 * socket's messages come in order, and one without a version is believed to be new. One that says it
 * leaves a gap may bring what a poll has brought.
 * @param {any} former message
 * @param {any} message snapshot
 * @param {boolean} polled
 */
export function isNews(former, message, polled) {
  if (!former || message.epoch !== former.epoch) return true;
  if (message.seq === undefined) return !polled || message.timestamp !== former.timestamp;
  return polled ? message.seq > former.seq : message.seq !== former.seq;
}

/** @param {any} data @returns {Columns} with whole prices, ascending */
function columnsOf({ levels, price_bin_size }) {
  if (!Array.isArray(levels)) {
    const { prices, long, short } = levels;
    const fit = [prices, long, short].every((each) => Array.isArray(each) && each.length === prices.length);
    if (!fit) throw new Error('the columns of a message are not as long as each other');
    return { prices: pricesOf(prices, price_bin_size), long, short };
  }
  return {
    prices: levels.map(({ price }) => price),
    long: levels.map(({ long_density }) => long_density),
    short: levels.map(({ short_density }) => short_density),
  };
}

/**
 * Prices are whole buckets, and a bucket a whole number of 10^-digits. So a price is the quotient of
 * two exact integers, which is the very number that its decimal text means; adding up steps of
 * 0.0002 would miss it.
 * @param {number[]} steps
 * @param {number} bin
 */
function pricesOf(steps, bin) {
  const [, fraction = '', exponent = '0'] = /^[\d]+\.?(\d*)(?:e(.+))?$/.exec(String(bin)) ?? [];
  const unit = Number(`1e${Math.max(fraction.length - Number(exponent), 0)}`);
  const units = Math.round(bin * unit);
  let index = Math.round(steps[0] / bin);
  return steps.map((step, i) => {
    if (i > 0) index += step;
    return (index * units) / unit;
  });
}

/**
 * Both ascending; a changed level takes the place of the one of its price, an empty one removes it.
 * @param {Columns} all
 * @param {Columns} changes
 * @returns {Columns}
 */
function merge(all, changes) {
  /** @type {Columns} */
  const merged = { prices: [], long: [], short: [] };
  const put = (/** @type {Columns} */ from, /** @type {number} */ i) => {
    merged.prices.push(from.prices[i]);
    merged.long.push(from.long[i]);
    merged.short.push(from.short[i]);
  };
  let a = 0;
  for (let c = 0; c < changes.prices.length; c++) {
    while (all.prices[a] < changes.prices[c]) put(all, a++);
    if (all.prices[a] === changes.prices[c]) a++;
    if (changes.long[c] || changes.short[c]) put(changes, c);
  }
  while (a < all.prices.length) put(all, a++);
  return merged;
}
