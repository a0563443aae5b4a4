"""What figures and reports draw: plain records made from results, without a drawing library."""
