import { defineCommand } from '../command.js'
import { doctor } from '../engine/doctor.js'

export default defineCommand({
  summary: 'look at target and files without writing, and say how to mend what is missing',
  run: ({ ctx, workspace, options, sources }) => doctor(ctx, workspace(), options.track ?? null, sources),
})
