import { resolve } from 'node:path'
import { defineCommand } from '../command.js'
import { readProof } from '../files/proof.js'
import { count, text } from '../model/options.js'
import { prove } from '../verify/prove.js'
import { plainVerifyOptions } from '../verify/verify.js'

export default defineCommand({
  summary: 'write the page to sign off after a run: what came in, what it became, who sees what',
  example: 'rethread prove --out proof.json',
  options: {
    sample: count('--sample <n>', 'real users who are compared with what they should see (default 5)', 5),
    out: text('--out <file>', 'keep the proof: counts, content hashes, schema, files, versions, verdict'),
    against: text('--against <file>', 'show what has changed since an earlier proof'),
  },
  run: async ({ ctx, track, options, config, cwd }) => {
    // read the proof first, so that a wrong file is reported without connecting
    const against = options.against === null ? null : await readProof(resolve(cwd, options.against))
    return prove(ctx, await track(), {
      ...plainVerifyOptions,
      sample: options.sample,
      accepted: config.accepted,
      keep: options.out !== null,
      against,
    })
  },
})
