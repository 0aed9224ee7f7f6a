import type { Command } from 'commander';
import type { StoresFile } from '../definitions/stores-file.ts';
import type { StoreProvider } from '../stores/spi/store.ts';
import { type Config, loadConfig } from '../worker/config.ts';
import {
  connectClient,
  type TemporalAccess,
  temporalTarget,
  type TemporalTarget,
} from '../worker/connection.ts';
import type { Asking } from '../worker/jobs/asking.ts';
import { Redaction } from '../worker/redaction.ts';
import { createOutput, type Output } from './output.ts';

/** Options that every command takes. */
export interface GlobalOptions {
  readonly config?: string;
  readonly profile?: string;
  readonly output: 'text' | 'json';
}

/** Opens what a command needs, when it needs it, and closes it when the command ends. */
export class CommandContext {
  readonly output: Output;
  private readonly options: GlobalOptions;
  private readonly closers: (() => Promise<void>)[] = [];
  private opened: Promise<StoreProvider> | undefined;

  constructor(options: GlobalOptions) {
    this.options = options;
    this.output = createOutput(options.output === 'json');
  }

  config(): Config {
    const { config: file } = this.options;
    return loadConfig(file === undefined ? {} : { file });
  }

  /** For commands that are nothing without stores. */
  configWithStores(): Config {
    const config = this.config();
    return config.file === undefined ? loadConfig({ file: 'syncline.yaml' }) : config;
  }

  target(): TemporalTarget {
    const { profile } = this.options;
    return temporalTarget({
      temporal: this.config().temporal,
      ...(profile === undefined ? {} : { profile }),
    });
  }

  async temporal(): Promise<TemporalAccess> {
    const access = await connectClient(this.target());
    this.closers.push(() => access.connection.close());
    return access;
  }

  /** The same open stores for the whole command. */
  async stores(): Promise<StoreProvider> {
    this.opened ??= this.storesOf(this.configWithStores().stores);
    return await this.opened;
  }

  /** For what is known of jobs, by Temporal and by the stores. */
  asking(access: TemporalAccess): Asking {
    return { access, stores: () => this.stores(), note: (text) => this.output.note(text) };
  }

  /** Stores that no file need name. */
  async storesOf(stores: StoresFile['stores']): Promise<StoreProvider> {
    // Drivers are loaded only by the commands that connect to stores.
    const { createStoreProvider } = await import('../worker/stores.ts');
    const provider = await createStoreProvider({ stores }, { redaction });
    this.closers.push(() => provider.closeAll());
    return provider;
  }

  async close(): Promise<void> {
    for (const close of this.closers.splice(0).reverse()) await close();
  }
}

/** One for the process, so that what main.ts prints of an error passes it too. */
export const redaction = new Redaction();

/** An exit code, or nothing for 0. */
export type CommandResult = Promise<number | undefined>;

/** Wraps the body of a command: context in, exit code out. */
export function withContext<Args extends unknown[]>(
  body: (context: CommandContext, ...args: Args) => CommandResult,
): (...args: [...Args, Command]) => Promise<void> {
  return async (...args) => {
    const command = args.at(-1) as Command;
    const context = new CommandContext(command.optsWithGlobals<GlobalOptions>());
    try {
      process.exitCode = (await body(context, ...(args.slice(0, -1) as Args))) ?? 0;
    } finally {
      await context.close();
    }
  };
}
