import { defineCommand } from '../command.js'
import { UsageError } from '../model/failure.js'
import { text } from '../model/options.js'
import { nearest } from '../model/similar.js'
import { quarantineAssign, quarantineList, quarantineRetry, quarantineShow } from '../operate/quarantine.js'

const deskActions = ['list', 'show', 'retry', 'assign'] as const

export default defineCommand({
  summary:
    'show rows that were set aside or failed, or try them again: `quarantine list`, `quarantine show <id>`, `quarantine retry`, `quarantine assign`',
  example: 'rethread quarantine list',
  consents: true,
  args: '<action> [id]',
  options: {
    workspace: text('--workspace <id>', 'of `assign`: the workspace that the rows are given'),
  },
  run: async ({ ctx, track, options, args, consent, leaseWaitMs }) => {
    const [typed, id] = args
    const action = deskActions.find(a => a === typed)
    if (action === undefined) {
      const meant = nearest(typed ?? '', deskActions)
      throw new UsageError(`quarantine ${typed}`, 'list, show, retry or assign', {
        known: [],
        meant: meant && `rethread quarantine ${meant}`,
      })
    }
    const chosen = await track()
    if (action === 'list') return quarantineList(ctx, chosen)
    if (action === 'show') {
      if (!id)
        throw new UsageError('quarantine show', 'it needs the number of a row, as `quarantine list` shows it')
      return quarantineShow(ctx, chosen, id)
    }
    const wish = { reason: options.reason, consent, leaseWaitMs }
    if (action === 'retry') return quarantineRetry(ctx, chosen, wish)
    if (options.workspace === null) throw new UsageError('quarantine assign', 'it needs --workspace <id>')
    return quarantineAssign(ctx, chosen, options.workspace, wish)
  },
})
