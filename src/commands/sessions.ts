import { commaList, count, defineCommand } from '../command.js'
import { sessionsList, sessionsShow } from '../engine/sessions.js'
import { UsageError } from '../model/failure.js'
import { type Filter, filters } from '../sql/sessions.js'

export default defineCommand({
  summary:
    'list sessions, or show or export one: `sessions list`, `sessions show <id>`, `sessions export <id>`',
  args: '<action> [id]',
  options: [
    ['--user <id>', 'only sessions of these users (or agents), separated by commas'],
    ['--workspace <id>', 'only of these workspaces'],
    ['--tenant <id>', 'only of these tenants'],
    ['--project <id>', 'only of these projects'],
    ['--helper <name>', 'only with these helpers'],
    ['--repo <name>', 'only of these repositories'],
    ['--trip <id>', 'only of these trips'],
    ['--status <status>', 'only in these states (a track may leave out finished ones by itself)'],
    ['--limit <n>', 'how many sessions (default 50), or messages of `show` (default 20)'],
  ],
  run: async ({ ctx, track, options, args }) => {
    const [action, id] = args
    if (action === 'list') {
      const wish: Partial<Record<Filter, string[]>> = {}
      for (const role of filters) if (options[role] !== undefined) wish[role] = commaList(options[role])
      return sessionsList(ctx, await track(), wish, count(options.limit, '--limit', 50)!)
    }
    if (action !== 'show' && action !== 'export')
      throw new UsageError(`sessions ${action}`, 'list, show or export')
    if (!id) throw new UsageError(`sessions ${action}`, 'it wants the id of a session')
    const most =
      action === 'show' ? count(options.limit, '--limit', 20)! : count(options.limit, '--limit', null)
    return sessionsShow(ctx, await track(), id, most)
  },
})
