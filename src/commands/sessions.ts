import { defineCommand } from '../command.js'
import { UsageError } from '../model/failure.js'
import { count, repeated, splitAtCommas } from '../model/options.js'
import { nearest } from '../model/similar.js'
import { type SessionsOptions, sessionsList, sessionsShow } from '../operate/sessions.js'

/** Reads `name=value,value`; a name that comes twice takes the values of both. Throws UsageError. */
function readFilters(given: string[]): SessionsOptions {
  const options: SessionsOptions = {}
  for (const text of given) {
    const at = text.indexOf('=')
    const values = splitAtCommas(text.slice(at + 1))
    if (at < 1 || values.length === 0) throw new UsageError(`--filter ${text}`, 'it looks like status=active')
    const name = text.slice(0, at)
    options[name] = [...(options[name] ?? []), ...values]
  }
  return options
}

const actions = ['list', 'show', 'export'] as const

export default defineCommand({
  summary:
    'list sessions, or show or export one: `sessions list`, `sessions show <id>`, `sessions export <id>`',
  example: 'rethread sessions list --limit 20',
  args: '<action> [id]',
  filters: true,
  options: {
    filter: repeated(
      '--filter <name=value>',
      'only sessions with this value, or one of several separated by commas; may be repeated (track.json names the filters)',
    ),
    limit: count('--limit <n>', 'how many sessions (default 50), or messages of `show` (default 20)'),
  },
  run: async ({ ctx, track, options, args }) => {
    const [typed, id] = args
    const action = actions.find(a => a === typed)
    if (action === undefined) {
      const meant = nearest(typed ?? '', actions)
      throw new UsageError(`sessions ${typed}`, 'list, show or export', {
        known: [],
        meant: meant && `rethread sessions ${meant}`,
      })
    }
    if (action === 'list') {
      return sessionsList(ctx, await track(), readFilters(options.filter), options.limit ?? 50)
    }
    if (!id) throw new UsageError(`sessions ${action}`, 'it wants the id of a session')
    const most = action === 'show' ? (options.limit ?? 20) : options.limit
    return sessionsShow(ctx, await track(), id, most)
  },
})
