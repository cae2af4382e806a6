// Starting and stopping a list of parts in order, once, whatever signal comes when.

/** Something that runs. `start` rejects when it cannot; what it made until then it takes back itself. */
export interface Part {
  name: string;
  start(): Promise<void>;
  /** Called once, only after `start` resolved. Bounded in time. */
  stop(): Promise<void>;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const FORCED_EXIT_CODE = 130;

/** Runs parts until something asks for the end. */
export class Lifecycle {
  readonly #parts: readonly Part[];
  readonly #complain: (line: string) => void;
  readonly #running: Part[] = [];
  #end: () => void = () => {};
  readonly #ended = new Promise<void>((resolve) => (this.#end = resolve));
  #isEnding = false;
  #exitCode = 0;

  constructor(parts: readonly Part[], complain: (line: string) => void) {
    this.#parts = parts;
    this.#complain = complain;
  }

  /** Asks for the end; the first reason decides the exit code. Safe to call at any time and again. */
  end(exitCode: number): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#exitCode = exitCode;
    this.#end();
  }

  /**
   * Starts every part in order, calls `ready`, waits for a signal or `end`, stops what runs in reverse order.
   * A part that does not start ends it. Resolves with the exit code; a second signal exits at once.
   */
  async run(ready: () => void): Promise<number> {
    const onSignal = (): void => {
      if (this.#isEnding) process.exit(FORCED_EXIT_CODE);
      this.end(0);
    };
    for (const signal of SIGNALS) process.on(signal, onSignal);
    try {
      await this.#start();
      if (!this.#isEnding) ready();
      await this.#ended;
    } finally {
      await this.#stop();
      for (const signal of SIGNALS) process.off(signal, onSignal);
    }
    return this.#exitCode;
  }

  async #start(): Promise<void> {
    for (const part of this.#parts) {
      if (this.#isEnding) return;
      try {
        await part.start();
      } catch (error) {
        this.#complain((error as Error).message);
        this.end(1);
        return;
      }
      this.#running.push(part);
    }
  }

  async #stop(): Promise<void> {
    for (const part of this.#running.splice(0).reverse()) {
      try {
        await part.stop();
      } catch (error) {
        this.#complain(`${part.name} did not stop in order: ${(error as Error).message}`);
        this.#exitCode ||= 1;
      }
    }
  }
}
