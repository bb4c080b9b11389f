import { defineCommand } from '../command.js'
import { defaultRetention, prune, pruneArchives, retentionDays } from '../engine/prune.js'

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
      days: retentionDays(
        options.olderThan ?? (options.archives ? null : await defaultRetention(chosen, config.settings)),
      ),
      apply: options.apply ?? false,
      remove: options.delete ?? false,
      consent,
      leaseWaitMs,
    })
  },
})
