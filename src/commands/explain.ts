import { defineCommand } from '../command.js'
import { explain } from '../operate/explain.js'

export default defineCommand({
  summary: 'tell what a finding or a hazard means',
  args: '<code>',
  offline: true,
  run: async ({ args }) => explain(args[0]!),
})
