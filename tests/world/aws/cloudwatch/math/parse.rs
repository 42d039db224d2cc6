//! The syntax of metric math.

use crate::world::aws::cloudwatch::error::CloudWatchError;

/// An expression as written.
#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    Number(f64),
    Text(String),
    Id(String),
    Array(Vec<Expression>),
    Minus(Box<Expression>),
    Binary(Operator, Box<Expression>, Box<Expression>),
    Call(String, Vec<Expression>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    Or,
    And,
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Plus,
    Minus,
    Times,
    Over,
    Power,
}

impl Operator {
    /// What it makes of two numbers; a comparison gives 1 or 0.
    #[allow(clippy::float_cmp)] // That is what == asks.
    pub fn of(self, a: f64, b: f64) -> f64 {
        let truth = |holds: bool| f64::from(u8::from(holds));
        match self {
            Self::Or => truth(a != 0.0 || b != 0.0),
            Self::And => truth(a != 0.0 && b != 0.0),
            Self::Equal => truth(a == b),
            Self::Unequal => truth(a != b),
            Self::Less => truth(a < b),
            Self::LessOrEqual => truth(a <= b),
            Self::Greater => truth(a > b),
            Self::GreaterOrEqual => truth(a >= b),
            Self::Plus => a + b,
            Self::Minus => a - b,
            Self::Times => a * b,
            Self::Over => a / b,
            Self::Power => a.powf(b),
        }
    }

    /// How tightly it binds.
    fn rank(self) -> usize {
        match self {
            Self::Or => 0,
            Self::And => 1,
            Self::Equal
            | Self::Unequal
            | Self::Less
            | Self::LessOrEqual
            | Self::Greater
            | Self::GreaterOrEqual => 2,
            Self::Plus | Self::Minus => 3,
            Self::Times | Self::Over => 4,
            Self::Power => 5,
        }
    }
}

/// Longer signs before those that they begin with.
const OPERATORS: [(&str, Operator); 16] = [
    ("||", Operator::Or),
    ("OR", Operator::Or),
    ("&&", Operator::And),
    ("AND", Operator::And),
    ("==", Operator::Equal),
    ("!=", Operator::Unequal),
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("<", Operator::Less),
    (">", Operator::Greater),
    ("+", Operator::Plus),
    ("-", Operator::Minus),
    ("*", Operator::Times),
    ("/", Operator::Over),
    ("^", Operator::Power),
    ("=", Operator::Equal),
];
const TIGHTEST: usize = 5;
/// Most parentheses and signs within each other.
const DEEPEST: usize = 60;

/// Reads an expression.
pub fn parse(text: &str) -> Result<Expression, CloudWatchError> {
    let upper = text.trim_start();
    if upper.starts_with("SEARCH") || upper.starts_with("SELECT") {
        return Err(CloudWatchError::not_modelled("SEARCH and Metrics Insights"));
    }
    let mut reader = Reader { text, at: 0, depth: 0 };
    let expression = reader.binary(0)?;
    reader.space();
    if reader.rest().is_empty() { Ok(expression) } else { Err(reader.fault("nothing more")) }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn fault(&self, wanted: &str) -> CloudWatchError {
        let (text, rest) = (self.text, self.rest());
        CloudWatchError::validation(format!(
            "Error in expression '{text}': expected {wanted} at '{rest}'"
        ))
    }

    fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn take(&mut self, sign: &str) -> bool {
        self.space();
        let found = self.rest().starts_with(sign);
        self.at += if found { sign.len() } else { 0 };
        found
    }

    fn operator(&mut self, rank: usize) -> Option<Operator> {
        self.space();
        let (sign, operator) = OPERATORS.iter().find(|(sign, _)| self.rest().starts_with(sign))?;
        if operator.rank() != rank {
            return None;
        }
        self.at += sign.len();
        Some(*operator)
    }

    fn binary(&mut self, rank: usize) -> Result<Expression, CloudWatchError> {
        if rank > TIGHTEST {
            return self.primary();
        }
        let mut left = self.binary(rank + 1)?;
        while let Some(operator) = self.operator(rank) {
            let right = self.binary(rank + 1)?;
            left = Expression::Binary(operator, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn primary(&mut self) -> Result<Expression, CloudWatchError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(CloudWatchError::not_modelled("an expression this deep"));
        }
        let expression = self.inner();
        self.depth -= 1;
        expression
    }

    fn inner(&mut self) -> Result<Expression, CloudWatchError> {
        if self.take("-") {
            return Ok(Expression::Minus(Box::new(self.primary()?)));
        }
        if self.take("(") {
            let inner = self.binary(0)?;
            return if self.take(")") { Ok(inner) } else { Err(self.fault("')'")) };
        }
        if self.take("[") {
            return self.list("]").map(Expression::Array);
        }
        self.space();
        let rest = self.rest();
        let length = |is: fn(char) -> bool| rest.find(|c| !is(c)).unwrap_or(rest.len());
        if rest.starts_with(['"', '\'']) {
            let quote = &rest[..1];
            let end = rest[1..].find(quote).ok_or_else(|| self.fault("the text's end"))?;
            self.at += end + 2;
            return Ok(Expression::Text(rest[1..=end].to_owned()));
        }
        if rest.starts_with(|c: char| c.is_ascii_digit()) {
            let number = &rest[..length(|c| c.is_ascii_digit() || c == '.')];
            self.at += number.len();
            return number.parse().map(Expression::Number).map_err(|_| self.fault("a number"));
        }
        let word = &rest[..length(|c| c.is_ascii_alphanumeric() || c == '_')];
        if word.is_empty() {
            return Err(self.fault("a metric, a number or a function"));
        }
        self.at += word.len();
        if self.take("(") {
            return Ok(Expression::Call(word.to_uppercase(), self.list(")")?));
        }
        Ok(Expression::Id(word.to_owned()))
    }

    /// Expressions between commas up to the closing sign.
    fn list(&mut self, closing: &str) -> Result<Vec<Expression>, CloudWatchError> {
        let mut items = Vec::new();
        while !self.take(closing) {
            if !items.is_empty() && !self.take(",") {
                return Err(self.fault("',' or the end of a list"));
            }
            items.push(self.binary(0)?);
        }
        Ok(items)
    }
}
