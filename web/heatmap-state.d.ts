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
export function advance(state: State | null, message: any): State | null;
/**
 * Nothing in it is shared with the state or with other snapshots.
 * @param {State} state
 * @returns {Snapshot}
 */
export function snapshotOf({ message, columns: { prices, long, short } }: State): Snapshot;
/**
 * Does this whole state tell anything to who has the former one? A poll may have been overtaken; a
 * socket's messages come in order, and one without a version is believed to be new. One that says it
 * leaves a gap may bring what a poll has brought.
 * @param {any} former message
 * @param {any} message snapshot
 * @param {boolean} polled
 */
export function isNews(former: any, message: any, polled: boolean): boolean;
export type Level = {
    price: number;
    long_density: number;
    short_density: number;
};
/**
 * on the wire: of `prices` the
 *  first is a price and each other the step to it in buckets; in a State: prices, ascending
 */
export type Columns = {
    prices: number[];
    long: number[];
    short: number[];
};
/**
 * the whole state of a symbol;
 *  `resumed` is only ever false: what was derived from earlier ones has a gap
 */
export type Snapshot = {
    type: "snapshot";
    symbol: string;
    timestamp: string;
    seq?: number;
    epoch?: string;
    resumed?: boolean;
    data: {
        levels: Level[];
        current_price: number;
        price_bin_size?: number;
        positions_created?: number;
        positions_consumed?: number;
    };
};
/**
 * message: what it came from
 */
export type State = {
    message: any;
    columns: Columns;
};
