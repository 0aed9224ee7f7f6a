export const followerNames = ['syncline', 'native', 'pglogical'] as const;
export const partNames = ['distinct', 'hot', 'large', 'lag', 'reload'] as const;

/** Those of a list that `--only` names; when it names none of them, all. */
export function chosenOf<Name extends string>(
  all: readonly Name[],
  only: readonly string[] | null,
): readonly Name[] {
  const chosen = all.filter((name) => only?.includes(name) === true);
  return chosen.length === 0 ? all : chosen;
}

/** Throws for a name that nobody has. */
export function checkNames(only: readonly string[] | null): void {
  const all: readonly string[] = [...followerNames, ...partNames];
  const unknown = only?.find((name) => !all.includes(name));
  if (unknown !== undefined) throw new Error(`There is no "${unknown}", only ${all.join(', ')}.`);
}
