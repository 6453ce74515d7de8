export class HeatmapWebSocket {
    /**
     * @param {string} url
     * @param {Options} [options]
     */
    constructor(url: string, options?: Options);
    url: string;
    onSnapshot: (snapshot: Snapshot) => void;
    onStatusChange: (status: Status, detail: StatusDetail) => void;
    onError: (error: any) => void;
    maxReconnectAttempts: number;
    reconnectDelay: number;
    reconnectDelayMax: number;
    mode: "delta" | "snapshot";
    page: false | PageLike;
    retryWhenFailed: number;
    openTimeout: number;
    healthyAfter: number;
    pongTimeout: number;
    slowFor: number;
    rateLimitPause: number;
    mendPause: number;
    hiddenInterval: number;
    pollUnit: number;
    pollUrl: (symbol: string) => string;
    WebSocket: {
        new (url: string | URL, protocols?: string | string[]): WebSocket;
        prototype: WebSocket;
        readonly CONNECTING: 0;
        readonly OPEN: 1;
        readonly CLOSING: 2;
        readonly CLOSED: 3;
    } | (new (url: string) => WebSocketLike);
    fetch: typeof fetch;
    random: () => number;
    /** @type {Status} */
    status: Status;
    /** @type {StatusDetail} */
    detail: StatusDetail;
    reconnectAttempts: number;
    connect(): void;
    /** Close for good; connect() begins anew, and every symbol with a whole snapshot. */
    disconnect(): void;
    /**
     * Remembered across reconnects; may be called before the connection is open. The newest snapshot
     * comes at once. Subscribing again changes the interval.
     * @param {string[]} symbols
     * @param {{updateInterval?: number}} [options] seconds; 0 is every version
     */
    subscribe(symbols: string[], { updateInterval }?: {
        updateInterval?: number;
    }): void;
    /** @param {string[]} symbols */
    unsubscribe(symbols: string[]): void;
    /**
     * @param {object} message
     * @returns {boolean} whether there was a connection to send it on
     */
    send(message: object): boolean;
    /**
     * Look after the connection: a server that was silent for `ms` is pinged, one that does not
     * answer is given up without waiting for its close. connect() does this by itself.
     * @param {number} [ms]
     */
    startKeepalive(ms?: number): void;
    stopKeepalive(): void;
    /** Something happened (wake-up, network back): try now, or check that the connection lives. */
    probe(): void;
    #private;
}
export type Snapshot = import("./heatmap-state.js").Snapshot;
export type Status = "connecting" | "connected" | "slow" | "stale" | "disconnected" | "failed";
/**
 * what is going on, and since when
 */
export type StatusDetail = {
    /**
     * Date.now() when the status began
     */
    since: number;
    /**
     * Date.now() of the next attempt, while one is planned; while connected,
     * the server has said that it will then restart
     */
    retryAt?: number | undefined;
    /**
     * with stale: the time of the server's last news, as Date.now() counts
     */
    staleSince?: number | undefined;
    /**
     * failed attempts in a row; 0 after a while of healthy data
     */
    attempt: number;
    /**
     * with failed: whether polls are being answered
     */
    polling: boolean;
    /**
     * why the last connection or attempt ended, or what the server warns of
     */
    reason: string;
    /**
     * whether the page is hidden, and less is asked for
     */
    hidden: boolean;
};
/**
 * what is used of a WebSocket
 */
export type WebSocketLike = {
    readyState: number;
    onopen: any;
    onmessage: any;
    onerror: any;
    onclose: any;
    send: (data: string) => void;
    close: (code?: number) => void;
    /**
     * of `ws`: away with a peer that would not answer a close
     */
    terminate?: (() => void) | undefined;
};
/**
 * what is used of a browser
 */
export type PageLike = {
    window: EventTarget;
    document: EventTarget & {
        hidden: boolean;
    };
};
export type Options = {
    /**
     * it belongs to the caller
     */
    onSnapshot?: ((snapshot: Snapshot) => void) | undefined;
    /**
     * also when only the
     * detail changed
     */
    onStatusChange?: ((status: Status, detail: StatusDetail) => void) | undefined;
    /**
     * the server's `error` messages, socket errors, and what the
     * other callbacks throw; by default exceptions are written on the console
     */
    onError?: ((error: any) => void) | undefined;
    /**
     * failed attempts in a row before polling begins
     */
    maxReconnectAttempts?: number | undefined;
    /**
     * ms, the most before the first retry; doubles from one to the next
     */
    reconnectDelay?: number | undefined;
    /**
     * ms
     */
    reconnectDelayMax?: number | undefined;
    /**
     * snapshot: for servers that know only the original protocol
     */
    mode?: "delta" | "snapshot" | undefined;
    /**
     * whose events to heed; false: none. By default the browser's
     */
    page?: false | PageLike | undefined;
    /**
     * ms between WebSocket attempts while polling, on average
     */
    retryWhenFailed?: number | undefined;
    /**
     * ms an attempt, or a poll, may take
     */
    openTimeout?: number | undefined;
    /**
     * ms of data after which failed attempts are forgotten
     */
    healthyAfter?: number | undefined;
    /**
     * ms of silence after our ping that mean death
     */
    pongTimeout?: number | undefined;
    /**
     * ms that a slow-consumer warning lasts
     */
    slowFor?: number | undefined;
    /**
     * ms, the most before a request is repeated that the server ignored
     */
    rateLimitPause?: number | undefined;
    /**
     * ms, the most before a whole state that was of no use is asked for again;
     * doubles from one to the next, up to 16 times
     */
    mendPause?: number | undefined;
    /**
     * seconds between snapshots while the page is hidden
     */
    hiddenInterval?: number | undefined;
    /**
     * ms per second of update interval while polling
     */
    pollUnit?: number | undefined;
    pollUrl?: ((symbol: string) => string) | undefined;
    WebSocket?: (new (url: string) => WebSocketLike) | undefined;
    fetch?: typeof fetch | undefined;
    /**
     * 0..1
     */
    random?: (() => number) | undefined;
};
export type Subscription = {
    /**
     * seconds; undefined: the server's own rhythm
     */
    interval: number | undefined;
    state: import("./heatmap-state.js").State | null;
    /**
     * deltas are of no use until a snapshot comes
     */
    awaitsWhole: boolean;
    /**
     * something came of it since it was last asked for
     */
    answered: boolean;
    /**
     * how often the whole was asked for since all was well
     */
    mends: number;
    /**
     * performance.now() of the last of them
     */
    mendedAt: number;
};
