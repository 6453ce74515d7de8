/**
 * heatmap-poll.js - the newest of some symbols, asked for again and again over HTTP.
 *
 * Each symbol at its own pace; an answer may tell a longer pause. What comes is handed on as it is:
 * knows neither what a message means nor why it is asked for.
 */

/**
 * @typedef {object} PollOptions
 * @property {typeof fetch | undefined} fetch nothing is asked for without one
 * @property {(symbol: string) => string} url may throw
 * @property {(symbol: string) => number} pause ms until it is asked for again
 * @property {number} pauseMax ms, the most that an answer may tell
 * @property {number} timeout ms an answer may take
 * @property {() => void} onAnswered `isAnswered` changed
 * @property {(message: any) => void} onMessage
 * @property {(error: any) => void} onError what `url` threw
 *
 * @typedef {object} Poll
 * @property {() => void} stop
 * @property {boolean} answered the last time
 */

const UNANSWERED = { answered: false, message: null, pause: 0 };

export class Poller {
  isActive = false;
  /** @type {Map<string, Poll>} by symbol */
  #polls = new Map();
  #options;

  /** @param {PollOptions} options callbacks may do anything but throw */
  constructor(options) {
    this.#options = options;
  }

  /** Whether anybody answers, be it that there is nothing yet. */
  get isAnswered() {
    return [...this.#polls.values()].some(({ answered }) => answered);
  }

  start() {
    this.isActive = this.#options.fetch !== undefined;
  }

  stop() {
    this.isActive = false;
    for (const { stop } of this.#polls.values()) stop();
    this.#polls.clear();
  }

  /** At once, also those that are waiting; nothing while it is not active. @param {Iterable<string>} symbols */
  ask(symbols) {
    if (!this.isActive) return;
    for (const symbol of symbols) this.#begin(symbol);
  }

  /** @param {string} symbol */
  forget(symbol) {
    this.#polls.get(symbol)?.stop();
    this.#polls.delete(symbol);
  }

  /** @param {string} symbol */
  #begin(symbol) {
    const former = this.#polls.get(symbol);
    former?.stop();
    /** @type {Poll} */
    const poll = { stop: () => {}, answered: former?.answered ?? false };
    this.#polls.set(symbol, poll);
    poll.stop = repeat((signal) => this.#round(symbol, poll, signal), this.#options.timeout);
  }

  /** @param {string} symbol @param {Poll} poll @param {AbortSignal} signal @returns {Promise<number>} pause */
  async #round(symbol, poll, signal) {
    const { answered, message, pause } = await this.#latest(symbol, signal);
    /* Whoever is told something may end this poll. */
    const isWanted = () => this.#polls.get(symbol) === poll;
    if (isWanted()) this.#note(poll, answered);
    if (message && isWanted()) this.#options.onMessage(message);
    return Math.max(this.#options.pause(symbol), pause);
  }

  /** @param {Poll} poll @param {boolean} answered */
  #note(poll, answered) {
    const before = this.isAnswered;
    poll.answered = answered;
    if (this.isAnswered !== before) this.#options.onAnswered();
  }

  /** @param {string} symbol @param {AbortSignal} signal */
  async #latest(symbol, signal) {
    const { fetch, pauseMax } = this.#options;
    const url = this.#urlOf(symbol);
    if (!fetch || url === null) return UNANSWERED;
    try {
      const response = await fetch(url, { cache: 'no-cache', signal });
      const message = response.ok ? await response.json() : null;
      const told = Number(response.headers.get('Retry-After')) * 1000 || 0; /* a date is not heeded */
      return { answered: response.status < 500, message, pause: Math.min(told, pauseMax) };
    } catch {
      return UNANSWERED;
    }
  }

  /** @param {string} symbol */
  #urlOf(symbol) {
    try {
      return this.#options.url(symbol);
    } catch (error) {
      this.#options.onError(error);
      return null;
    }
  }
}

/**
 * Ask now, and again after as many ms as each asking says; one that takes too long is given up.
 * @param {(signal: AbortSignal) => Promise<number>} ask never rejects
 * @param {number} timeout ms
 * @returns {() => void} ends it
 */
function repeat(ask, timeout) {
  let abort = new AbortController();
  let ended = false;
  /** @type {ReturnType<typeof setTimeout>} */
  let timer;
  const round = async () => {
    if (ended) return;
    abort = new AbortController();
    timer = setTimeout(() => abort.abort(), timeout);
    const pause = await ask(abort.signal);
    clearTimeout(timer);
    if (!ended) timer = setTimeout(round, pause);
  };
  queueMicrotask(round); /* what the first tells may already end it */
  return () => {
    ended = true;
    clearTimeout(timer);
    abort.abort();
  };
}
