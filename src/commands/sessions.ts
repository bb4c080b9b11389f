import { resolve } from 'node:path'
import { defineCommand } from '../command.js'
import { readSessionFile } from '../files/session_file.js'
import { UsageError } from '../model/failure.js'
import { count, flag, repeated, splitAtCommas, text } from '../model/options.js'
import { nearest } from '../model/similar.js'
import {
  type SessionsOptions,
  sessionsCount,
  sessionsList,
  sessionsShow,
  usualSearchSeconds,
} from '../operate/sessions.js'

/** Reads `name=value,value`. If a name is repeated, the values are added. Throws UsageError. */
function typedFilters(given: string[]): SessionsOptions['filter'] {
  const options: SessionsOptions['filter'] = {}
  for (const text of given) {
    const at = text.indexOf('=')
    const values = splitAtCommas(text.slice(at + 1))
    if (at < 1 || values.length === 0) throw new UsageError(`--filter ${text}`, 'it looks like status=active')
    const name = text.slice(0, at)
    options[name] = [...(options[name] ?? []), ...values]
  }
  return options
}

/** Each action with its argument; null if it has none. */
const actions = {
  list: null,
  count: null,
  show: 'the id of a session',
  export: 'the id of a session',
  import: 'a file that `sessions export` has written',
  recover: 'the id of a session',
} as const
type Action = keyof typeof actions
const names = Object.keys(actions) as Action[]

function readAction(typed: string | undefined): Action {
  const action = names.find(a => a === typed)
  if (action !== undefined) return action
  const meant = nearest(typed ?? '', names)
  throw new UsageError(`sessions ${typed}`, `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`, {
    known: [],
    meant: meant && `rethread sessions ${meant}`,
  })
}

/**
 * Options that only some actions accept. For other actions they are an error, because they would be ignored.
 */
const actionsTaking: Record<string, Action[]> = {
  '--filter': ['list', 'count'],
  '--since': ['list', 'count'],
  '--search': ['list', 'count'],
  '--within': ['list', 'count'],
  '--with-deleted': ['list', 'count'],
  '--all-fields': ['list'],
  '--limit': ['list', 'show'],
}

function refuseStray(action: Action, given: Record<string, boolean>): void {
  for (const [flag, actions] of Object.entries(actionsTaking))
    if (given[flag] && !actions.includes(action))
      throw new UsageError(`sessions ${action} ${flag}`, `only ${actions.join(' and ')} take it`)
}

export default defineCommand({
  summary:
    'sessions of people: `sessions list`, `count`, `show <id>`, `export <id>`, `import <file>`, `recover <id>`',
  example: 'rethread sessions list --since 7d --search invoice',
  args: '<action> [id]',
  filters: true,
  consents: true,
  options: {
    filter: repeated(
      '--filter <name=value>',
      'only sessions with this value, or one of several separated by commas; may be repeated (track.json names the filters)',
    ),
    since: text('--since <time>', 'only sessions active since, such as 7d, 12h or 2026-01-31T18:00Z'),
    search: text('--search <text>', 'only sessions with this text in their title or a message'),
    within: count('--within <seconds>', `how long a search may take (default ${usualSearchSeconds})`),
    withDeleted: flag('--with-deleted', 'also sessions that are marked as deleted'),
    allFields: flag(
      '--all-fields',
      'every column of a session, as formats other than the table show them anyway',
    ),
    limit: count('--limit <n>', 'how many sessions (default 50), or messages of `show` (default 20)'),
  },
  run: async ({ ctx, track, options, args, consent, leaseWaitMs, cwd }) => {
    const action = readAction(args[0])
    refuseStray(action, {
      '--filter': options.filter.length > 0,
      '--since': options.since !== null,
      '--search': options.search !== null,
      '--within': options.within !== null,
      '--with-deleted': options.withDeleted,
      '--all-fields': options.allFields,
      '--limit': options.limit !== null,
    })
    const { since, search, withDeleted } = options
    const within = options.within ?? usualSearchSeconds
    const wanted = { filter: typedFilters(options.filter), since, search, withDeleted, within }
    if (action === 'count') return sessionsCount(ctx, await track(), wanted)
    if (action === 'list') {
      const allFields =
        options.allFields || (options.format ?? 'table') !== 'table' || options.output.length > 0
      return sessionsList(ctx, await track(), { ...wanted, limit: options.limit ?? 50, allFields })
    }
    const [, id] = args
    if (!id) throw new UsageError(`sessions ${action}`, `it needs ${actions[action]}`)
    if (action === 'show')
      return sessionsShow(ctx, await track(), id, { limit: options.limit ?? 20, whole: false })
    if (action === 'export') return sessionsShow(ctx, await track(), id, { limit: null, whole: true })
    if (action === 'recover') {
      const { recoverSession } = await import('../operate/recover_session.js')
      return recoverSession(ctx, await track(), { id, consent, leaseWaitMs })
    }
    // read the file first, so that a wrong one is reported without connecting
    const document = readSessionFile(resolve(cwd, id))
    const { importSession } = await import('../operate/import_session.js')
    return importSession(ctx, await track(), { document, from: id, consent, leaseWaitMs })
  },
})
