import { defineCommand } from '../command.js'
import { status } from '../operate/status.js'

export default defineCommand({
  summary: 'show what is applied, pending, changed or missing, and what a rollback would cost now',
  example: 'rethread status',
  run: async ({ ctx, track }) => status(ctx, await track()),
})
