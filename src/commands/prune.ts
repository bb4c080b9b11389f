import { defineCommand } from '../command.js'
import { prune, pruneArchives } from '../engine/prune.js'
import { UsageError } from '../model/failure.js'
import type { Track } from '../model/workspace.js'
import { flag, text } from '../options.js'
import { readTrackInfo } from '../workspace/track.js'

/** The retention that was asked for, else the configured one, else the track's own. */
async function retention(
  asked: string | null,
  track: Track,
  settings: Record<string, string>,
): Promise<string | null> {
  return (
    asked ?? settings.retention ?? (await readTrackInfo(track)).info?.settings?.retention?.default ?? null
  )
}

/** A retention such as `90d`, `12w` or `365`. Throws UsageError. */
function days(value: string | null): number {
  if (value === null)
    throw new UsageError('--older-than', 'it is needed: the track has no setting `retention`')
  const parts = /^(\d+)([dw]?)$/.exec(value)
  if (!parts || Number(parts[1]) < 1)
    throw new UsageError(`--older-than ${value}`, 'it wants days or weeks, such as 90d or 12w')
  return Number(parts[1]) * (parts[2] === 'w' ? 7 : 1)
}

export default defineCommand({
  summary: 'archive or delete sessions past a retention, or drop old archives; a dry run unless --apply',
  options: {
    olderThan: text(
      '--older-than <days>',
      'sessions idle, or archives made, longer ago than this: 90d, 12w; by default the setting `retention`',
    ),
    apply: flag('--apply', 'do it; without this flag nothing is changed'),
    remove: flag(
      '--delete',
      'delete sessions with their messages instead of archiving them (wants DELETES_DATA)',
    ),
    archives: flag('--archives', 'prune the archives of rollbacks instead of sessions (wants DELETES_DATA)'),
  },
  run: async ({ ctx, track, config, options, consent, leaseWaitMs }) => {
    const chosen = await track()
    return (options.archives ? pruneArchives : prune)(ctx, chosen, {
      days: days(
        options.archives ? options.olderThan : await retention(options.olderThan, chosen, config.settings),
      ),
      apply: options.apply,
      remove: options.remove,
      consent,
      leaseWaitMs,
    })
  },
})
