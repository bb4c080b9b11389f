import { commaList, count, defineCommand } from '../command.js'
import { type SessionsWish, sessionsList, sessionsShow } from '../engine/sessions.js'
import { Failure } from '../model/failure.js'

/** Reads `name=value,value`; a name that comes twice takes the values of both. Throws USAGE. */
function readFilters(given: string[]): SessionsWish {
  const wish: SessionsWish = {}
  for (const text of given) {
    const at = text.indexOf('=')
    const values = commaList(text.slice(at + 1))
    if (at < 1 || values.length === 0)
      throw new Failure('USAGE', `--filter ${text}`, { reason: 'it looks like status=active' })
    const name = text.slice(0, at)
    wish[name] = [...(wish[name] ?? []), ...values]
  }
  return wish
}

export default defineCommand({
  summary:
    'list sessions, or show or export one: `sessions list`, `sessions show <id>`, `sessions export <id>`',
  args: '<action> [id]',
  filters: true,
  options: [
    [
      '--filter <name=value>',
      'only sessions with this value, or one of several separated by commas; may be repeated (track.json names the filters)',
      'repeated',
    ],
    ['--limit <n>', 'how many sessions (default 50), or messages of `show` (default 20)'],
  ],
  run: async ({ ctx, track, options, args }) => {
    const [action, id] = args
    if (action === 'list') {
      return sessionsList(
        ctx,
        await track(),
        readFilters(options.filter ?? []),
        count(options.limit, '--limit', 50)!,
      )
    }
    if (action !== 'show' && action !== 'export')
      throw new Failure('USAGE', `sessions ${action}`, { reason: 'list, show or export', known: [] })
    if (!id)
      throw new Failure('USAGE', `sessions ${action}`, { reason: 'it wants the id of a session', known: [] })
    const most =
      action === 'show' ? count(options.limit, '--limit', 20)! : count(options.limit, '--limit', null)
    return sessionsShow(ctx, await track(), id, most)
  },
})
