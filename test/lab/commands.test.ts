// The command printed beside a number: it parses as the command line does, and selects that cell and no other.
import { Command } from 'commander';
import { expect, test } from 'vitest';
import { commandOf, commandText, type LabOptions, planCell, selectCells } from '../../lab/cells.ts';
import { register } from '../../lab/command.ts';
import { FAULTS } from '../../lab/faults.ts';
import packageFile from '../../package.json' with { type: 'json' };

const FULL: LabOptions = { only: [], faults: [], quick: false, seed: 1, servers: 4, users: 300 };

/** What `npm run lab -- …` makes of the command's words. */
async function parsed(command: string): Promise<LabOptions> {
  expect(command.startsWith('npm run lab -- ')).toBe(true);
  expect(packageFile.scripts.lab).toMatch(/ lab$/);
  const program = new Command().exitOverride();
  register(program);
  let options: LabOptions | null = null;
  program.commands[0]?.action((given: { only: string[]; fault: string[]; quick?: boolean } & LabOptions) => {
    const { only, fault, quick = false, seed, servers, users } = given;
    options = { only, faults: FAULTS.filter((name) => fault.includes(name)), quick, seed, servers, users };
    expect(options.faults).toHaveLength(fault.length);
  });
  await program.parseAsync(['node', 'holdfast', 'lab', ...command.split(' ').slice(4)]);
  if (options === null) throw new Error(`${command} did nothing`);
  return options;
}

test.each([FULL, { ...FULL, quick: true, seed: 7 }, { ...FULL, servers: 3, users: 40, seed: 0 }])(
  'each cell of %o: its command selects it alone, with the same plan',
  async (options) => {
    for (const cell of selectCells(options)) {
      const again = await parsed(commandOf(cell, options));
      expect(selectCells(again)).toEqual([cell]);
      expect(planCell(cell, again)).toEqual(planCell(cell, options));
    }
  },
);

test('the command of a whole run selects the whole run', async () => {
  for (const options of [
    FULL,
    { ...FULL, quick: true },
    { ...FULL, only: ['redis', 'jwt'], faults: ['none', 'ban'] as const, servers: 2 },
  ]) {
    expect(await parsed(commandText(options))).toEqual(options);
  }
});
