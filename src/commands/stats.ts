import { defineCommand } from '../command.js'
import { stats } from '../operate/stats.js'

export default defineCommand({
  summary: 'session and message counts, recent activity, sizes, the largest sessions',
  example: 'rethread stats',
  run: async ({ ctx, track }) => stats(ctx, await track()),
})
