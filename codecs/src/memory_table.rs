//! A database in memory: answers [`TableCall`]s for simulations and tests.

use std::collections::BTreeMap;

use headgate_core::table::{
    Column, Condition, Identifier, Insert, Row, Select, TableAnswer, TableCall, TableError, TableName, TableShape,
    Update, Value,
};

/// Tables and their rows, in the order in which they were put in.
#[derive(Clone, Debug, Default)]
pub struct MemoryTables {
    tables: BTreeMap<TableName, Table>,
    down: bool,
}

#[derive(Clone, Debug)]
struct Table {
    shape: TableShape,
    rows: Vec<BTreeMap<Identifier, Value>>,
    made: i64,
}

impl MemoryTables {
    /// A database with these tables, empty.
    #[must_use]
    pub fn new(shapes: impl IntoIterator<Item = TableShape>) -> Self {
        let table = |shape: TableShape| (shape.name.clone(), Table { shape, rows: Vec::new(), made: 0 });
        Self { tables: shapes.into_iter().map(table).collect(), down: false }
    }

    /// Whether the database can not be reached.
    pub const fn set_down(&mut self, down: bool) {
        self.down = down;
    }

    /// Carries out a call as a database would.
    ///
    /// # Errors
    /// [`TableError`], as from a database.
    pub fn call(&mut self, call: &TableCall) -> Result<TableAnswer, TableError> {
        if self.down {
            return Err(TableError::not_done(TableError::CONNECT_FAILED, "connection refused"));
        }
        match call {
            TableCall::Insert(call) => self.table(&call.table)?.insert(call),
            TableCall::Select(call) => self.table(&call.table)?.select(call),
            TableCall::Update(call) => self.table(&call.table)?.update(call),
            TableCall::Watch { .. } => {
                Err(TableError::not_done(TableError::UNSUPPORTED, "a database in memory tells nothing by itself"))
            }
        }
    }

    /// Every row of a table, in the order in which they were put in.
    pub fn rows(&self, table: &TableName) -> impl Iterator<Item = &BTreeMap<Identifier, Value>> {
        self.tables.get(table).into_iter().flat_map(|table| &table.rows)
    }

    /// Takes every row of a table away, as its owner may.
    pub fn purge(&mut self, table: &TableName) {
        if let Some(table) = self.tables.get_mut(table) {
            table.rows.clear();
        }
    }

    fn table(&mut self, name: &TableName) -> Result<&mut Table, TableError> {
        self.tables.get_mut(name).ok_or_else(|| refused("there is no such table"))
    }
}

impl Table {
    fn insert(&mut self, call: &Insert) -> Result<TableAnswer, TableError> {
        let Some(key) = call.columns.get(call.key) else { return Err(refused("there is no such column")) };
        let (mut found, mut fresh) = (Vec::new(), Vec::new());
        for values in &call.rows {
            let own = values.get(call.key).unwrap_or(&Value::Null);
            if self.rows.iter().any(|row| row.get(&key.name) == Some(own)) {
                found.push(own.clone());
            } else {
                fresh.push(self.row(&call.columns, values)?);
            }
        }
        if !found.is_empty() && !call.again {
            return Err(TableError::not_done(TableError::CONFLICT, "a key is there already"));
        }
        for (index, row) in fresh.iter().enumerate() {
            let mut others = self.rows.iter().chain(fresh.iter().take(index));
            if others.any(|other| self.collide(row, other)) {
                return Err(TableError::not_done(TableError::CONFLICT, "a unique value is there already"));
            }
        }
        for mut row in fresh {
            if let Some(key) = self.shape.columns.get(self.shape.key).filter(|_| self.shape.generated) {
                self.made += 1;
                row.insert(key.name.clone(), Value::Integer(self.made));
            }
            self.rows.push(row);
        }
        Ok(TableAnswer::Inserted { found })
    }

    fn select(&self, call: &Select) -> Result<TableAnswer, TableError> {
        for column in call.columns.iter().chain(call.conditions.iter().map(|condition| &condition.column)) {
            self.check(column)?;
        }
        let fits =
            |row: &&BTreeMap<Identifier, Value>| call.conditions.iter().all(|condition| satisfies(row, condition));
        let mut rows: Vec<_> = self.rows.iter().filter(fits).collect();
        if let Some(column) = &call.order_by {
            rows.sort_by_key(|row| row.get(column));
        }
        let read = |row: &BTreeMap<Identifier, Value>| -> Row {
            call.columns.iter().map(|column| row.get(&column.name).cloned().unwrap_or_default()).collect()
        };
        Ok(TableAnswer::Rows(rows.into_iter().take(call.limit as usize).map(read).collect()))
    }

    fn update(&mut self, call: &Update) -> Result<TableAnswer, TableError> {
        for column in call.columns.iter() {
            self.check(column)?;
        }
        let mut count = 0;
        for (key, values) in &call.rows {
            let of_key = |row: &&mut BTreeMap<Identifier, Value>| row.get(&call.key.name) == Some(key);
            for row in self.rows.iter_mut().filter(of_key) {
                row.extend(call.columns.iter().map(|column| column.name.clone()).zip(values.iter().cloned()));
                count += 1;
            }
        }
        Ok(TableAnswer::Updated(count))
    }

    fn row(&self, columns: &[Column], values: &[Value]) -> Result<BTreeMap<Identifier, Value>, TableError> {
        for (column, value) in columns.iter().zip(values) {
            self.check(column)?;
            if !value.fits(column.kind) {
                return Err(refused("a value is not of its column's kind"));
            }
        }
        Ok(columns.iter().map(|column| column.name.clone()).zip(values.iter().cloned()).collect())
    }

    fn check(&self, column: &Column) -> Result<(), TableError> {
        if self.shape.columns.contains(column) { Ok(()) } else { Err(refused("there is no such column")) }
    }

    fn collide(&self, row: &BTreeMap<Identifier, Value>, other: &BTreeMap<Identifier, Value>) -> bool {
        let key = (!self.shape.generated).then_some(self.shape.key);
        let same = |index: usize| {
            let name = self.shape.columns.get(index).map(|column| &column.name);
            let value = name.and_then(|name| row.get(name)).filter(|value| **value != Value::Null);
            value.is_some() && value == name.and_then(|name| other.get(name))
        };
        key.into_iter().chain(self.shape.unique.iter().copied()).any(same)
    }
}

fn satisfies(row: &BTreeMap<Identifier, Value>, condition: &Condition) -> bool {
    match row.get(&condition.column.name) {
        None | Some(Value::Null) => false,
        Some(value) => condition.values.contains(value) == condition.among,
    }
}

fn refused(text: &str) -> TableError {
    TableError::not_done(TableError::REFUSED, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_core::table::ValueKind;

    fn column(name: &str, kind: ValueKind) -> Column {
        Column { name: Identifier::new(name).unwrap(), kind }
    }

    fn columns() -> [Column; 2] {
        [column("id", ValueKind::Text), column("state", ValueKind::Integer)]
    }

    fn name() -> TableName {
        TableName::try_from("t".to_owned()).unwrap()
    }

    fn tables() -> MemoryTables {
        let shape =
            TableShape { name: name(), columns: columns().into(), key: 0, generated: false, unique: Vec::new() };
        MemoryTables::new([shape])
    }

    fn insert(again: bool, rows: &[(&str, i64)]) -> TableCall {
        let rows = rows.iter().map(|(id, state)| vec![Value::text(*id), Value::Integer(*state)]).collect();
        TableCall::Insert(Insert { table: name(), columns: columns().into(), key: 0, rows, again })
    }

    fn select(among: bool, state: i64) -> TableCall {
        let condition = Condition { column: columns()[1].clone(), among, values: vec![Value::Integer(state)] };
        TableCall::Select(Select {
            table: name(),
            columns: [columns()[0].clone()].into(),
            conditions: vec![condition],
            order_by: Some(columns()[0].name.clone()),
            limit: 10,
        })
    }

    #[test]
    fn rows_are_put_in_once_found_and_changed() {
        let mut tables = tables();
        assert_eq!(tables.call(&insert(false, &[("b", 0), ("a", 0)])), Ok(TableAnswer::Inserted { found: vec![] }));
        let conflict = tables.call(&insert(false, &[("c", 1), ("a", 9)])).unwrap_err();
        assert_eq!((conflict.code, tables.rows(&name()).count()), (TableError::CONFLICT, 2));
        let found = vec![Value::text("a")];
        assert_eq!(tables.call(&insert(true, &[("a", 9), ("c", 1)])), Ok(TableAnswer::Inserted { found }));
        let rows = |names: &[&str]| Ok(TableAnswer::Rows(names.iter().map(|name| vec![Value::text(*name)]).collect()));
        assert_eq!(tables.call(&select(true, 0)), rows(&["a", "b"]));
        let [key, state] = columns();
        let rows_to_set = vec![(Value::text("a"), vec![Value::Integer(2)]), (Value::text("z"), vec![Value::Null])];
        let update = Update { table: name(), key, columns: [state].into(), rows: rows_to_set };
        assert_eq!(tables.call(&TableCall::Update(update)), Ok(TableAnswer::Updated(1)));
        assert_eq!(tables.call(&select(false, 0)), rows(&["a", "c"]));
    }

    #[test]
    fn a_database_that_is_down_answers_nothing() {
        let mut tables = tables();
        tables.set_down(true);
        assert!(tables.call(&select(true, 0)).unwrap_err().is_link());
    }
}
