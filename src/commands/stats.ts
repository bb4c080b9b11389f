import { defineCommand } from '../command.js'
import { stats } from '../operate/stats.js'

export default defineCommand({
  summary: 'session and message counts, recent activity, sizes, the largest sessions',
  run: async ({ ctx, track }) => stats(ctx, await track()),
})
