import { defineCommand } from '../command.js'
import { prune, pruneArchives } from '../engine/prune.js'
import type { Track } from '../model/workspace.js'
import { readTrackInfo } from '../workspace/track.js'

/** The retention that was asked for, else the configured one, else the track's own. */
async function retention(
  asked: string | undefined,
  track: Track,
  settings: Record<string, string>,
): Promise<string | undefined> {
  return (
    asked ??
    settings.retention ??
    (await readTrackInfo(track)).info?.settings?.retention?.default ??
    undefined
  )
}

/** A retention such as `90d`, `12w` or `365`. Throws a RangeError that names the flag. */
function days(value: string | undefined): number {
  if (value === undefined)
    throw new RangeError('--older-than is needed: the track has no setting `retention`')
  const parts = /^(\d+)([dw]?)$/.exec(value)
  if (!parts || Number(parts[1]) < 1)
    throw new RangeError(`--older-than wants days or weeks, such as 90d or 12w, not \`${value}\``)
  return Number(parts[1]) * (parts[2] === 'w' ? 7 : 1)
}

export default defineCommand({
  summary: 'archive or delete sessions past a retention, or drop old archives; a dry run unless --apply',
  options: [
    [
      '--older-than <days>',
      'sessions idle, or archives made, longer ago than this: 90d, 12w; by default the setting `retention`',
    ],
    ['--apply', 'do it; without this flag nothing is changed'],
    ['--delete', 'delete sessions with their messages instead of archiving them (wants DELETES_DATA)'],
    ['--archives', 'prune the archives of rollbacks instead of sessions (wants DELETES_DATA)'],
  ],
  run: async ({ ctx, track, config, options, consent, leaseWaitMs }) => {
    const chosen = await track()
    return (options.archives ? pruneArchives : prune)(ctx, chosen, {
      days: days(
        options.archives ? options.olderThan : await retention(options.olderThan, chosen, config.settings),
      ),
      apply: options.apply ?? false,
      remove: options.delete ?? false,
      consent,
      leaseWaitMs,
    })
  },
})
