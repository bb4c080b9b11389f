import { defineCommand } from '../command.js'
import { flag, text } from '../model/options.js'
import { defaultRetention, prune, pruneArchives, retentionDays } from '../operate/prune.js'

export default defineCommand({
  summary: 'archive or delete sessions past a retention, or drop old archives; a dry run unless --apply',
  example: 'rethread prune --older-than 365d',
  consents: true,
  options: {
    olderThan: text(
      '--older-than <days>',
      'sessions idle, or archives made, longer ago than this: 90d, 12w; by default the setting `retention`',
    ),
    apply: flag('--apply', 'do it; without this flag nothing is changed'),
    remove: flag(
      '--delete',
      'delete sessions and all rows that depend on them; `restore` brings them back (needs DELETES_DATA)',
    ),
    soft: flag('--soft', 'mark sessions as deleted, where the track has a column for that'),
    archives: flag('--archives', 'prune the archives of rollbacks instead of sessions (needs DELETES_DATA)'),
  },
  run: async ({ ctx, track, config, options, consent, leaseWaitMs }) => {
    const chosen = await track()
    return (options.archives ? pruneArchives : prune)(ctx, chosen, {
      days: retentionDays(
        options.olderThan ?? (options.archives ? null : await defaultRetention(chosen, config.settings)),
      ),
      apply: options.apply,
      how: options.remove ? 'deleted' : options.soft ? 'marked' : 'archived',
      consent,
      leaseWaitMs,
    })
  },
})
