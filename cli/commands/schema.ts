import { Command } from 'commander';
import { jobJsonSchema, storesJsonSchema } from '../../definitions/json-schema.ts';
import { withContext } from '../context.ts';

interface SchemaOptions {
  readonly stores?: boolean;
}

export function schemaCommand(): Command {
  return new Command('schema')
    .description('Print the JSON Schema of job files, for editors: `syncline schema > syncline.schema.json`.')
    .option('--stores', 'of syncline.yaml instead')
    .action(
      withContext((_context, { stores }: SchemaOptions) => {
        const schema = stores === true ? storesJsonSchema() : jobJsonSchema();
        process.stdout.write(`${JSON.stringify(schema, null, 2)}\n`);
        return Promise.resolve(0);
      }),
    );
}
