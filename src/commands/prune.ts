import { defineCommand } from '../command.js'
import { prune, pruneArchives } from '../engine/prune.js'

/** A retention such as `90d`, `12w` or `365`. Throws a RangeError that names the flag. */
function days(value: string | undefined): number {
  const parts = /^(\d+)([dw]?)$/.exec(value ?? '')
  if (!parts || Number(parts[1]) < 1)
    throw new RangeError(`--older-than wants days or weeks, such as 90d or 12w, not \`${value}\``)
  return Number(parts[1]) * (parts[2] === 'w' ? 7 : 1)
}

export default defineCommand({
  summary: 'archive or delete sessions past a retention, or drop old archives; a dry run unless --apply',
  options: [
    ['--older-than <days>', 'sessions idle, or archives made, longer ago than this: 90d, 12w'],
    ['--apply', 'do it; without this flag nothing is changed'],
    ['--delete', 'delete sessions with their messages instead of archiving them (wants DELETES_DATA)'],
    ['--archives', 'prune the archives of rollbacks instead of sessions (wants DELETES_DATA)'],
  ],
  run: async ({ ctx, track, options, consent, leaseWaitMs }) =>
    (options.archives ? pruneArchives : prune)(ctx, await track(), {
      days: days(options.olderThan),
      apply: options.apply ?? false,
      remove: options.delete ?? false,
      consent,
      leaseWaitMs,
    }),
})
