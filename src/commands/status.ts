import { defineCommand } from '../command.js'
import { flag } from '../model/options.js'
import { status } from '../operate/status.js'

export default defineCommand({
  summary: 'show what is applied, pending, changed or missing, and what a rollback would cost now',
  options: { watch: flag('--watch', 'show it again every two seconds, until Ctrl-C') },
  example: 'rethread status --watch',
  fleet: () => false,
  run: async ({ ctx, track }) => status(ctx, await track()),
})
