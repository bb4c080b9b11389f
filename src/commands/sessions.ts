import { defineCommand } from '../command.js'
import { sessionsList, sessionsShow } from '../engine/sessions.js'
import { UsageError } from '../model/failure.js'
import { nearest } from '../model/similar.js'
import { count, list } from '../options.js'
import { type Filter, filters } from '../sql/sessions.js'

const actions = ['list', 'show', 'export'] as const

export default defineCommand({
  summary:
    'list sessions, or show or export one: `sessions list`, `sessions show <id>`, `sessions export <id>`',
  args: '<action> [id]',
  options: {
    user: list('--user <id>', 'only sessions of these users (or agents), separated by commas'),
    workspace: list('--workspace <id>', 'only of these workspaces'),
    tenant: list('--tenant <id>', 'only of these tenants'),
    project: list('--project <id>', 'only of these projects'),
    helper: list('--helper <name>', 'only with these helpers'),
    repo: list('--repo <name>', 'only of these repositories'),
    trip: list('--trip <id>', 'only of these trips'),
    status: list('--status <status>', 'only in these states (a track may leave out finished ones by itself)'),
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
      const wish: Partial<Record<Filter, string[]>> = {}
      for (const role of filters) if (options[role].length > 0) wish[role] = options[role]
      return sessionsList(ctx, await track(), wish, options.limit ?? 50)
    }
    if (!id) throw new UsageError(`sessions ${action}`, 'it wants the id of a session')
    const most = action === 'show' ? (options.limit ?? 20) : options.limit
    return sessionsShow(ctx, await track(), id, most)
  },
})
