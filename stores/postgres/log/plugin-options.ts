import type { FollowLog } from '../../spi/log.ts';
import { publicationNames } from './publication.ts';

/** Options of `pgoutput` that are the same for every way of reading. */
export function pluginOptions(
  { address, binary }: FollowLog,
  protocol: 1 | 2,
): Readonly<Record<string, string>> {
  return {
    proto_version: String(protocol),
    publication_names: publicationNames(address).join(','),
    binary: String(binary),
  };
}
